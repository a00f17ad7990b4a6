//! Which files there are: globs, walked over the file system.
//!
//! A pattern is split at its slashes and walked part by part: a literal part is looked up, a glob
//! part lists its folder, `**` descends. So `/var/log/*/app.log` lists `/var/log` and nothing
//! else. A symbolic link to a file counts as the file (Kubernetes links every container's log);
//! links to folders are not descended by `**`, so that there are no loops.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use towpath_sdk::config::{Form, Kind, Node, OptionType, Problem, Problems};

use super::content::{FileId, Stamp, identify};

/// A pattern for paths: `*` and `?` within a name, `[ab]`, `{a,b}`, and `**` for any folders.
#[derive(Debug, Clone)]
pub struct Glob {
    text: String,
    parts: Vec<Part>,
    /// Matches the whole path, or the name alone when the pattern has no slash.
    whole: GlobMatcher,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    Glob(GlobMatcher),
    AnyFolders,
}

impl Glob {
    /// The error says in one line what is wrong.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.ends_with('/') {
            return Err("expected the path of files".to_owned());
        }
        let relative = text.trim_start_matches('/');
        let parts = relative
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| {
                Ok(match part {
                    "**" => Part::AnyFolders,
                    _ if part.contains("**") => return Err("`**` must stand alone".to_owned()),
                    _ if part.contains(['*', '?', '[', '{', '\\']) => Part::Glob(matcher(part)?),
                    _ => Part::Literal(part.to_owned()),
                })
            });
        let mut parts = parts.collect::<Result<Vec<_>, String>>()?;
        if matches!(parts.last(), Some(Part::AnyFolders)) {
            parts.push(Part::Glob(matcher("*")?));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
            whole: matcher(text)?,
        })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn excludes(&self, path: &Path) -> bool {
        match (self.text.contains('/'), path.file_name()) {
            (false, Some(name)) => self.whole.is_match(name),
            _ => self.whole.is_match(path),
        }
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .build();
    glob.map(|glob| glob.compile_matcher())
        .map_err(|error| error.kind().to_string())
}

impl OptionType for Glob {
    fn kind() -> Kind {
        Kind::Text(Form {
            name: "glob",
            pattern: None,
            example: "/var/log/nginx/*.log*",
        })
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::parse(node, problems)?;
        Self::new(&text)
            .map_err(|why| problems.push(Problem::new(node.span, format!("not a glob: {why}"))))
            .ok()
    }
}

/// A file that a scan has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub path: PathBuf,
    pub id: FileId,
    pub stamp: Stamp,
}

/// What a scan has found.
#[derive(Debug, Default)]
pub struct Listing {
    /// Each file once, the first of its names, from the one modified first to the last.
    pub files: Vec<Found>,
    /// The folders that were looked into: where new files can appear.
    pub folders: BTreeSet<PathBuf>,
    /// What could not be looked at, and why.
    pub problems: BTreeMap<PathBuf, io::Error>,
    /// Of `include`, what matches no file.
    pub unmatched: BTreeSet<String>,
    /// Files named without a glob that are not there.
    pub missing: Vec<PathBuf>,
    /// What a glob matches but is neither file nor folder: never opened.
    pub refused: Vec<PathBuf>,
}

/// Finds the files of a source.
#[derive(Debug, Clone)]
pub struct Finder {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
    /// Files below this folder are left out: where read ones are moved to.
    moved_to: Option<PathBuf>,
}

impl Finder {
    pub fn new(include: &[Glob], exclude: &[Glob], moved_to: Option<PathBuf>) -> Self {
        Self {
            include: include.to_vec(),
            exclude: exclude.to_vec(),
            moved_to,
        }
    }

    /// Looks at all that match now.
    pub fn list(&self) -> Listing {
        let mut walk = Walk {
            finder: self,
            names: BTreeMap::new(),
            matched: false,
            listing: Listing::default(),
        };
        for glob in &self.include {
            let root = if glob.text.starts_with('/') { "/" } else { "" };
            let named = glob
                .parts
                .iter()
                .all(|part| matches!(part, Part::Literal(_)));
            walk.matched = false;
            walk.parts(Path::new(root), &glob.parts, named);
            if !walk.matched {
                walk.listing.unmatched.insert(glob.text.clone());
            }
        }
        let Walk {
            names, mut listing, ..
        } = walk;
        let mut seen = BTreeSet::new();
        listing.files = names
            .into_iter()
            .filter(|(_, found)| seen.insert(found.id))
            .map(|(_, found)| found)
            .collect();
        listing.files.sort_by_key(|found| found.stamp.modified_ns);
        listing
    }

    /// Whether `path` is left out by `exclude`, or because read files are moved there.
    fn excludes(&self, path: &Path) -> bool {
        self.moved_to
            .as_ref()
            .is_some_and(|folder| path.starts_with(folder))
            || self.exclude.iter().any(|glob| glob.excludes(path))
    }
}

struct Walk<'a> {
    finder: &'a Finder,
    names: BTreeMap<PathBuf, Found>,
    /// The glob at hand has matched a file.
    matched: bool,
    listing: Listing,
}

impl Walk<'_> {
    /// Looks for `parts` in `folder`; `named` when the pattern has no glob in it.
    fn parts(&mut self, folder: &Path, parts: &[Part], named: bool) {
        let Some((part, rest)) = parts.split_first() else {
            return;
        };
        match part {
            Part::Literal(name) if rest.is_empty() => {
                self.listing.folders.insert(folder.to_owned());
                self.file(folder.join(name), named);
            }
            Part::Literal(name) => self.parts(&folder.join(name), rest, named),
            Part::Glob(glob) => {
                for (name, is_folder) in self.list_folder(folder) {
                    if !glob.is_match(&name) {
                        continue;
                    }
                    let path = folder.join(&name);
                    match (rest.is_empty(), is_folder) {
                        (true, Some(false)) | (true, None) => self.file(path, false),
                        // A link may lead to a folder here: it was asked for by name.
                        (false, Some(true)) | (false, None) => self.parts(&path, rest, false),
                        _ => {}
                    }
                }
            }
            Part::AnyFolders => {
                self.parts(folder, rest, false);
                for (name, is_folder) in self.list_folder(folder) {
                    if is_folder == Some(true) {
                        self.parts(&folder.join(name), parts, false);
                    }
                }
            }
        }
    }

    /// The names in `folder`, and whether each is a folder; `None` for a link.
    fn list_folder(&mut self, folder: &Path) -> Vec<(PathBuf, Option<bool>)> {
        let opened = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let names = std::fs::read_dir(opened).and_then(|entries| {
            entries
                .map(|entry| {
                    let entry = entry?;
                    let kind = entry.file_type()?;
                    let is_folder = (!kind.is_symlink()).then(|| kind.is_dir());
                    Ok((PathBuf::from(entry.file_name()), is_folder))
                })
                .collect::<io::Result<Vec<_>>>()
        });
        match names {
            Ok(names) => {
                self.listing.folders.insert(folder.to_owned());
                names
            }
            Err(error) => {
                self.problem(folder.to_owned(), error);
                Vec::new()
            }
        }
    }

    fn file(&mut self, path: PathBuf, named: bool) {
        if self.finder.excludes(&path) {
            return;
        }
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                let (id, stamp) = identify(&metadata);
                self.matched = true;
                self.names.insert(path.clone(), Found { path, id, stamp });
            }
            Ok(metadata) if metadata.is_dir() && !named => {}
            Ok(_) if named => {
                let refused = io::Error::other("it is not a regular file");
                self.problem(path, refused);
            }
            Ok(_) => self.listing.refused.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound && named => {
                self.listing.missing.push(path);
            }
            Err(error) => self.problem(path, error),
        }
    }

    /// What is not there is no problem: it may come, or was just renamed.
    fn problem(&mut self, path: PathBuf, error: io::Error) {
        use io::ErrorKind::{NotADirectory, NotFound};
        if !matches!(error.kind(), NotFound | NotADirectory) {
            self.listing.problems.insert(path, error);
        }
    }
}
