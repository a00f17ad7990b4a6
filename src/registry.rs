//! The only list of connectors: one feature-gated line each. Transforms list themselves.

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
    Registry::new(types).with_transforms(towpath_transforms::types())
}
