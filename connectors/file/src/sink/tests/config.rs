//! Options that are not safe together are refused, with what to write instead.

use towpath_sdk::SinkConfig;

use super::*;

/// The problems, or the configuration.
fn parse(entries: &[(&str, &str)]) -> std::result::Result<Arc<dyn SinkConfig>, String> {
    let mut problems = Problems::new();
    let parsed = (super::super::sink_type().parse)(&options_node(entries), &mut problems);
    parsed.ok_or_else(|| {
        let lines = problems.iter().map(|problem| {
            format!(
                "{}; {}",
                problem.message,
                problem.help.as_deref().unwrap_or_default()
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}

fn check_refused(entries: &[(&str, &str)], expected: &str) {
    assert_eq!(parse(entries).err().as_deref(), Some(expected));
}

#[test]
fn options_that_do_not_fit_are_refused() {
    check_refused(
        &[("path", "out/{topic}.json.gz"), ("rotate.size", "1MiB")],
        "with `rotate` two files would get one name; \
         write `out/{topic}-{start_offset:020}.json.gz`",
    );
    check_refused(
        &[("path", "{start_offset}")],
        "`{start_offset}` has no meaning without `rotate`; \
         add `rotate: { size: 64MiB }`, or leave it out",
    );
    check_refused(
        &[
            ("path", "{start_offset}"),
            ("rotate.size", "1MiB"),
            ("if_exists", "append"),
        ],
        "`if_exists: append` has no meaning with `rotate`; \
         rotated files have names of their own, so one that exists is not ours",
    );
    assert!(parse(&[("path", "{value.a}")]).is_ok());
    assert!(parse(&[("path", "out"), ("fields", "key"), ("format", "json")]).is_ok());
}

#[test]
fn a_path_must_tell_topics_and_partitions_apart() {
    let check = |path: &str, rotate: bool, topics: &[(&str, u32)], expected: Option<&str>| {
        let entries = [("path", path), ("rotate.size", "1MiB")];
        let config = parse(&entries[..1 + usize::from(rotate)]).unwrap();
        let topics: Vec<_> = topics
            .iter()
            .map(|(name, partitions)| ((*name).to_owned(), *partitions))
            .collect();
        let error = config.check_topics(&topics).err();
        assert_eq!(
            error
                .as_deref()
                .map(|error| error.rsplit("write ").next().unwrap()),
            expected
        );
    };
    check("out.txt", false, &[("a", 4), ("b", 1)], None);
    check("{partition}.txt", false, &[("a", 4)], None);
    check(
        "{partition}.txt",
        false,
        &[("a", 4), ("b", 4)],
        Some("`{partition}-{topic}.txt`"),
    );
    check("{start_offset}", true, &[("a", 1)], None);
    check(
        "{start_offset}",
        true,
        &[("a", 2)],
        Some("`{start_offset}-{partition}`"),
    );
    let both = Some("`o.x/{start_offset}-{topic}-{partition}.gz`");
    check("o.x/{start_offset}.gz", true, &[("a", 2), ("b", 1)], both);
    assert_eq!(parse(&[("path", "out.txt")]).unwrap().tasks_max(), 1);
    assert_eq!(
        parse(&[("path", "{partition}")]).unwrap().tasks_max(),
        u32::MAX
    );
}
