//! The encoders of a task: one for all records, or one for those of each schema.

use std::collections::HashMap;
use std::sync::Arc;

use towpath_sdk::{Encoder, Error, NewEncoder, Result, SchemaId, Schemas};

pub(super) struct Encoders {
    /// The first is of all records, or refuses those without a schema.
    encoders: Vec<Box<dyn Encoder>>,
    by_schema: Option<NewEncoder>,
    schemas: Arc<dyn Schemas>,
    /// The index of each schema's.
    known: HashMap<SchemaId, usize>,
}

impl Encoders {
    pub(super) fn new(encoder: Box<dyn Encoder>, schemas: Arc<dyn Schemas>) -> Self {
        Self {
            by_schema: encoder.by_schema(),
            encoders: vec![encoder],
            schemas,
            known: HashMap::new(),
        }
    }

    /// Whether an object holds the records of one schema only.
    pub(super) fn are_by_schema(&self) -> bool {
        self.by_schema.is_some()
    }

    /// The index of the encoder of records of `schema`, made when there is none.
    ///
    /// # Errors
    /// A record error when nothing of that schema can be written.
    pub(super) fn of(&mut self, schema: Option<SchemaId>) -> Result<usize> {
        let (Some(new), Some(id)) = (&self.by_schema, schema) else {
            return Ok(0);
        };
        if let Some(index) = self.known.get(&id) {
            return Ok(*index);
        }
        let schema = self.schemas.get(id)?.ok_or_else(|| {
            Error::record("write", format!("records of the schema {id}"))
                .because("no schema with that id is registered")
        })?;
        self.encoders.push(new(&schema)?);
        let index = self.encoders.len() - 1;
        self.known.insert(id, index);
        Ok(index)
    }

    pub(super) fn get(&self, index: usize) -> &dyn Encoder {
        &*self.encoders[index]
    }

    pub(super) fn get_mut(&mut self, index: usize) -> &mut dyn Encoder {
        &mut *self.encoders[index]
    }
}
