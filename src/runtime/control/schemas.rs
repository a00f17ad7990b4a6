//! The schemas that the log holds, as anybody may see them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use towpath_sdk::config::nearest;
use towpath_sdk::{Error, Result, Schema, SchemaId};

use super::Control;
use crate::schemas::{SchemaRegistry, SchemaText};

/// What has versions: a topic, for the schemas of its values, or `TOPIC/key`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchemaSubject {
    /// Its name.
    pub subject: String,
    /// From 1 on; one at least.
    pub versions: Vec<SchemaVersion>,
}

/// A schema as one version of its subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchemaVersion {
    /// From 1.
    pub version: u32,
    /// What records refer to it by.
    pub id: String,
    /// What it says.
    #[serde(flatten)]
    pub schema: SchemaText,
}

impl Control {
    /// All subjects, by name. Waits for the disk.
    pub fn schemas(&self) -> Result<Vec<SchemaSubject>> {
        let subjects = SchemaRegistry::new(self.log.clone()).subjects()?;
        Ok(subjects
            .into_iter()
            .map(|(subject, versions)| answer(subject, &versions))
            .collect())
    }

    /// One subject; an unknown one is refused with the nearest name. Waits for the disk.
    pub fn schemas_of(&self, subject: &str) -> Result<SchemaSubject> {
        let mut subjects = SchemaRegistry::new(self.log.clone()).subjects()?;
        if let Some(versions) = subjects.remove(subject) {
            return Ok(answer(subject.to_owned(), &versions));
        }
        let error = Error::configuration("find schemas of", format!("`{subject}`"))
            .because("no record with a schema was written there");
        Err(
            match nearest(subject, subjects.keys().map(String::as_str)) {
                Some(near) => error.remedy(format!("did you mean `{near}`?")),
                None => error.remedy(
                    "`towpath schemas list` shows which there are; sources that know the types of \
                 their records register them",
                ),
            },
        )
    }
}

fn answer(subject: String, versions: &[(SchemaId, Arc<Schema>)]) -> SchemaSubject {
    let version = |(version, (id, schema)): (u32, &(SchemaId, Arc<Schema>))| SchemaVersion {
        version,
        id: id.to_string(),
        schema: SchemaText::from(&**schema),
    };
    SchemaSubject {
        subject,
        versions: (1..).zip(versions).map(version).collect(),
    }
}
