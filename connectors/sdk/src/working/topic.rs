//! Names that topics can have: Kafka's rule.

/// The longest topic name of Kafka.
const NAME_BYTES_MAX: usize = 249;

/// Whether `character` may stand in the name of a topic.
pub fn in_topic_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

/// Whether the topic `name` is one that a worker keeps for itself: no record goes there, and no
/// pattern of a sink matches it.
pub fn is_internal_topic(name: &str) -> bool {
    name.starts_with("__towpath.")
}

/// Why `name` cannot be the name of a topic.
pub(super) fn wrong_topic_name(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("no topic has an empty name".to_owned());
    }
    if matches!(name, "." | "..") {
        return Some("that is the name of a folder".to_owned());
    }
    if name.len() > NAME_BYTES_MAX {
        return Some(format!("its name has more than {NAME_BYTES_MAX} bytes"));
    }
    if is_internal_topic(name) {
        return Some("names that begin with `__towpath.` are Towpath's own".to_owned());
    }
    let wrong = name.chars().find(|character| !in_topic_name(*character))?;
    Some(format!("no topic has `{wrong}` in its name"))
}
