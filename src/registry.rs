//! The only list of connectors: one feature-gated line each. Transforms list themselves, but for
//! those in crates of their own.

use towpath_sdk::{ConnectorType, Registry};

/// The connector and transform types of this build.
pub fn registry() -> Registry {
    let mut types: Vec<ConnectorType> = Vec::new();
    #[cfg(feature = "file")]
    types.push(connector_file::connector_type());
    #[cfg(feature = "console")]
    types.extend(connector_console::connector_types());
    #[cfg(feature = "generate")]
    types.push(connector_generate::connector_type());
    #[cfg(feature = "postgres")]
    types.push(connector_postgres::connector_type());
    #[cfg(feature = "s3")]
    types.push(connector_s3::connector_type());
    let transforms = towpath_transforms::types();
    #[cfg(feature = "vrl")]
    let transforms = [transforms, vec![towpath_vrl::TYPE]].concat();
    Registry::new(types).with_transforms(transforms)
}
