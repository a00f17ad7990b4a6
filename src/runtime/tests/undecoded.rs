//! Letters of what a source could not decode, which are decoded anew.

use towpath_record::{Batch, BatchBuilder, Header};
use towpath_sdk::config::{CsvOptions, InputFormat};
use towpath_sdk::{HEAD_HEADER, NewDecoder, OnError, Refused, Schemas, Tolerance};

use super::*;
use crate::letter::REACHED;
use crate::retried::decode;
use crate::schemas::SchemaRegistry;
use crate::stretch::Stretch;

/// Letters of what could not be decoded: head and payload of each.
fn undecoded(letters: &[(Option<&str>, &str)]) -> Batch {
    let mut builder = BatchBuilder::default();
    for (head, payload) in letters {
        let header = |key: &'static str, value| Header {
            key: str::as_bytes(key),
            value: Some(str::as_bytes(value)),
        };
        let head = head.map(|head| header(HEAD_HEADER, head));
        let headers: Vec<_> = head
            .into_iter()
            .chain([header(REACHED, "undecoded")])
            .collect();
        let pushed = builder.push(0, None, Some(payload.as_bytes()), &headers);
        pushed.expect("a letter");
    }
    builder.finish().expect("letters")
}

fn decoder(scene: &Scene, format: InputFormat) -> NewDecoder {
    let schemas: Arc<dyn Schemas> = Arc::new(SchemaRegistry::new(scene.log.clone()));
    towpath_formats::decoder(format, &schemas).expect("a decoder")
}

/// Decodes letters that may grow by so much.
fn decode_again(
    batch: &Batch,
    new_decoder: &NewDecoder,
    mut growth_left: usize,
) -> (Vec<Stretch>, Vec<Refused>) {
    let on_error = Tolerance::new(OnError::DeadLetter, Default::default());
    let mut refused = Vec::new();
    let decoded = decode(
        batch,
        0,
        new_decoder,
        &on_error,
        &mut growth_left,
        &mut refused,
    );
    (decoded.expect("it is decoded"), refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_keeps_the_head_that_a_decoder_does_not_take() {
    let scene = Scene::new();
    let csv = decoder(&scene, InputFormat::Csv(CsvOptions::default()));
    let letters = undecoded(&[(Some("a,a"), "1,2"), (Some("a,b"), "1"), (None, "1,2")]);
    let (_, refused) = decode_again(&letters, &csv, 1 << 20);
    let head = |bad: &Refused| {
        let header = bad.record.headers().iter().next()?.expect("a header");
        assert_eq!(header.key, HEAD_HEADER.as_bytes());
        Some(String::from_utf8_lossy(header.value?).into_owned())
    };
    let heads: Vec<_> = refused.iter().map(head).collect();
    assert_eq!(
        heads,
        [Some("a,a".to_owned()), Some("a,b".to_owned()), None]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_which_too_much_is_made_is_refused() {
    let scene = Scene::new();
    let lists = decoder(&scene, InputFormat::JsonArray);
    let long = format!("[{}]", vec!["1"; 1_000].join(","));
    let letters = undecoded(&[(None, "[1,2]"), (None, &long), (None, "[3]")]);
    let (decoded, refused) = decode_again(&letters, &lists, 1_000);
    let values = decoded.iter().flat_map(|part| part.batch.records());
    let values: Vec<_> = values
        .map(|record| record.expect("sound").value.expect("a value").to_vec())
        .collect();
    assert_eq!(values, [b"1", b"2", b"3"]);
    assert_eq!(refused.len(), 1);
    let why = refused[0].error.to_string();
    assert!(why.contains("may grow by 16 MiB"), "{why}");
    let again = refused[0].record.value.as_deref();
    assert_eq!(again, Some(long.as_bytes()));
    let (decoded, refused) = decode_again(&letters, &lists, 1 << 20);
    let made: usize = decoded.iter().map(|part| part.batch.len()).sum();
    assert_eq!((made, refused.len()), (1_003, 0));
}
