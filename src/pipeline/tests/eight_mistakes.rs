//! Eight kinds of mistakes in one file, all shown in one go.

use super::load;

const WRONG: &str = "\
name: access-logs
sources:
  nginx:
    type: file
    inclued: /var/log/nginx/*.log
    include: 7
    topic: access-logs
    retry: { first: 5 sec }
  apache:
    type: file
    topic: access-logs
    include: a.log
    include: b.log
sinks:
  archive:
    type: flie
    topics: access-logs
    path: archive/{partition}.txt
    level: 3
  copy:
    type: file
    topics: access-logs
    path: ${env:OUTPUT_DIR}/copy.txt
  other:
    type: file
    topics: access-logs
    description: ${file:missing.txt}
";

const SHOWN: &str = "\
error: unknown option `inclued`
 --> a.yaml:5:5
  |
5 |     inclued: /var/log/nginx/*.log
  |     ^^^^^^^
  |
  = help: did you mean `include`?

error: expected text, found the number 7
 --> a.yaml:6:14
  |
6 |     include: 7
  |              ^
  |
  = help: to make it text, quote it: \"7\"

error: expected a duration such as 5s, found the text `5 sec`
 --> a.yaml:8:21
  |
8 |     retry: { first: 5 sec }
  |                     ^^^^^
  |
  = help: did you mean `5s`?

error: `include` stands here twice
  --> a.yaml:13:5
   |
13 |     include: b.log
   |     ^^^^^^^
   |
  ::: a.yaml:12:5
   |
12 |     include: a.log
   |     ------- first here
   |
   = help: remove one of them

error: unknown connector type `flie`
  --> a.yaml:16:11
   |
16 |     type: flie
   |           ^^^^
   |
   = help: did you mean `file`?

error: the variable `OUTPUT_DIR` is not set
  --> a.yaml:23:11
   |
23 |     path: ${env:OUTPUT_DIR}/copy.txt
   |           ^^^^^^^^^^^^^^^^^
   |
   = help: set it, or give a default: ${env:OUTPUT_DIR:-default}

error: missing option `path` (path template)
  --> a.yaml:24:3
   |
24 |   other:
   |   ^^^^^
   |
   = help: `path`: The files to write.

error: cannot read `missing.txt`: entity not found
  --> a.yaml:27:18
   |
27 |     description: ${file:missing.txt}
   |                  ^^^^^^^^^^^^^^^^^^^
   |
   = help: the path is relative to this file
";

#[test]
fn all_are_shown_at_once() {
    let shown = load(&[WRONG]).unwrap_err();
    assert_eq!(shown, SHOWN, "{shown}");
}
