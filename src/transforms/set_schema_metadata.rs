//! `set_schema_metadata`: another name or version for the schema of a record, as Kafka Connect's
//! `SetSchemaMetadata` does.
//!
//! A record with a schema has its id in a header ([`SchemaHeaders`]). Name and version of the schema
//! may stand beside it, in headers that this transform sets: they hold in the place of those that
//! the id leads to. A transform that changes the value takes all three away, so this one stands
//! before it or not at all.

use std::num::NonZeroU32;
use std::sync::Arc;

use towpath_sdk::config::{Node, Problems, options};
use towpath_sdk::{
    Cell, Error, Result, SchemaHeaders, Side, Transform, TransformConfig, TransformContext,
    TransformExample, TransformType, WorkingBatch,
};

use crate::target::Target;

options! {
    /// At least one of `name` and `version` is given.
    struct Options {
        /// The schema's new name.
        name: Option<String>,
        /// The schema's new version, from 1.
        version: Option<NonZeroU32>,
        /// The half of the record whose schema it is.
        target: Target = "value",
    }
}

pub(crate) const TYPE: TransformType = TransformType {
    name: "set_schema_metadata",
    summary: "Gives the schema of a record another name or version. A value without a schema is a \
              bad record.",
    spec: Options::spec,
    parse,
    examples: &[TransformExample {
        title: "the name under which sinks know the type",
        options: "name: shop.Order",
        input: r#"{"id":7}  # header towpath.schema.id: 5f0c1e9ab2d47c36"#,
        output: r#"{"id":7}  # header towpath.schema.id: 5f0c1e9ab2d47c36; header towpath.schema.name: shop.Order"#,
    }],
};

fn parse(node: &Node, problems: &mut Problems) -> Option<Arc<dyn TransformConfig>> {
    let Options {
        name,
        version,
        target,
    } = Options::parse(node, problems)?;
    let why = match (&name, version) {
        (None, None) => Some("`set_schema_metadata` takes `name` or `version`"),
        (Some(name), _) if name.is_empty() => Some("`name` is empty"),
        _ => None,
    };
    if let Some(why) = why {
        problems.add(node.span_of("name"), why);
        return None;
    }
    let headers = SchemaHeaders::of(target.side());
    let name = name.map(|name| (headers.name, name));
    let version = version.map(|version| (headers.version, version.to_string()));
    Some(Arc::new(SetSchemaMetadata {
        id: headers.id,
        set: name.into_iter().chain(version).collect(),
        side: target.side(),
    }))
}

#[derive(Debug, Clone)]
struct SetSchemaMetadata {
    /// The header that a record with a schema has.
    id: &'static str,
    /// The headers to set.
    set: Vec<(&'static str, String)>,
    side: Side,
}

impl TransformConfig for SetSchemaMetadata {
    fn transform(&self) -> Box<dyn Transform> {
        Box::new(self.clone())
    }
}

impl Transform for SetSchemaMetadata {
    fn apply(&mut self, batch: &mut WorkingBatch, _: &TransformContext) -> Result<()> {
        batch.each(|batch, row| {
            let mut headers = batch.headers(row).iter().flatten();
            if !headers.any(|header| header.key == self.id.as_bytes()) {
                if batch.cell(row, self.side) == Cell::Null {
                    return Ok(());
                }
                let schema = format!("the schema of the {}", self.side.as_str());
                return Err(Error::record("set name and version of", schema)
                    .because(format!("the record has none: no header `{}`", self.id))
                    .remedy("put it before the transforms that change the value or key"));
            }
            let is_set = |name: &[u8]| self.set.iter().any(|(set, _)| set.as_bytes() == name);
            batch.retain_headers(row, |header| !is_set(header.key));
            for (header, text) in &self.set {
                batch.add_header(row, header, Some(text.as_bytes()));
            }
            Ok(())
        })
    }
}
