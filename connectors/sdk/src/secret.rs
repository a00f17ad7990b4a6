//! Texts that must never be shown.
//!
//! What `${file:}` stands for may end up in any option, and from there in any message: a path, an
//! address, an error of a library. So hiding does not depend on who writes a message: the texts
//! are known to the whole process, and [`printable`](crate::printable), which every message
//! passes, replaces them.

use std::sync::{PoisonError, RwLock};

static SECRETS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// A shorter text stands in too many words to be hidden, and is no secret worth the name.
const SECRET_BYTES_MIN: usize = 4;

/// From now on `text` is shown as `***`.
pub fn keep_secret(text: &str) {
    let text = text.trim();
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    if text.len() >= SECRET_BYTES_MIN && !secrets.iter().any(|secret| secret == text) {
        secrets.push(text.to_owned());
        // A secret that contains another one is replaced as a whole.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }
}

/// `text` with every secret in it replaced by `***`.
pub fn hide_secrets(text: &str) -> String {
    let secrets = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    secrets
        .iter()
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        keep_secret("sesame-open\n");
        keep_secret("sesame-open-wide");
        keep_secret("ab");
        assert_eq!(hide_secrets("out/sesame-open/x ab"), "out/***/x ab");
        assert_eq!(hide_secrets("sesame-open-wide"), "***");
        assert_eq!(
            crate::Error::fatal("read", "sesame-open").to_string(),
            "cannot read ***"
        );
    }
}
