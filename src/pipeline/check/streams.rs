//! Streams: what their values are behind their transforms, and that nothing they write comes back
//! to them.

use super::*;

impl Together<'_> {
    /// Fills in the formats of topics that neither a declaration nor the data directory tells: what
    /// a source writes, and then from topic to topic what streams write. Of what streams read nothing
    /// may be known before it is there: what they write has no format then, but for tables, which
    /// are there from the start.
    pub(super) fn find_formats(&self, topics: &mut BTreeMap<String, Topic>) {
        let from_streams: HashSet<&str> = self
            .streams()
            .filter_map(|stream| stream.output.constant_topic())
            .collect();
        for topic in topics.values_mut().filter(|topic| topic.format.is_none()) {
            let name = Some(&*topic.name);
            let writer = self
                .sources()
                .find(|source| source.output.constant_topic() == name);
            let writer = writer.or_else(|| {
                self.sources()
                    .find(|source| may_write(&source.output.topic, &topic.name))
            });
            let default = match self.holds_dead_letters(&topic.name) {
                true => Some(Format::Bytes),
                false if from_streams.contains(&*topic.name) => None,
                false => Some(Format::Text),
            };
            topic.format = writer.map(Source::format).or(default);
        }
        // Each time one more along the longest way from topic to topic is found.
        for _ in self.streams() {
            for stream in self.streams() {
                let behind = self.formats_behind(&stream.connector, &stream.input, topics);
                let name = stream.output.constant_topic();
                if let Some((_, format)) = behind.first()
                    && let Some(topic) = name.and_then(|name| topics.get_mut(name))
                {
                    topic.format = topic.format.or(Some(*format));
                }
            }
        }
        let transforms = self.connectors().flat_map(|each| &each.transforms);
        for name in transforms.filter_map(|transform| transform.config.table_topic()) {
            if let Some(table) = topics.get_mut(name) {
                table.format = table.format.or(Some(Format::Text));
            }
        }
    }

    /// What the values of each topic that `input` reads are, as far as it is known.
    pub(super) fn formats_read(
        &self,
        input: &Input,
        topics: &BTreeMap<String, Topic>,
    ) -> Vec<(String, Format)> {
        let held = self.surroundings.existing_topics.iter();
        let held = held.map(|(name, topic)| (&**name, topic.format));
        let letters = self.dead_letter_topics();
        let letters = letters.map(|name| (name, Some(Format::Bytes)));
        let others = held.chain(letters);
        let others = others.filter(|(name, _)| !topics.contains_key(*name));
        let known = topics.iter().map(|(name, topic)| (&**name, topic.format));
        let read = known.chain(others).filter(|(name, _)| input.reads(name));
        read.filter_map(|(name, format)| Some((name.to_owned(), format?)))
            .collect()
    }

    /// The same behind the transforms of `connector`.
    pub(super) fn formats_behind(
        &self,
        connector: &Connector,
        input: &Input,
        topics: &BTreeMap<String, Topic>,
    ) -> Vec<(String, Format)> {
        let read = self.formats_read(input, topics).into_iter();
        let behind = |format| output(&connector.transforms, format);
        read.map(|(name, format)| (name, behind(format))).collect()
    }

    /// What each source and stream writes, as far as it is known.
    pub(super) fn written(
        &self,
        topics: &BTreeMap<String, Topic>,
    ) -> Vec<(&Connector, &Output, Option<Format>)> {
        let sources = self
            .sources()
            .map(|source| (&source.connector, &source.output, Some(source.format())));
        let streams = self.streams().map(|stream| {
            let behind = self.formats_behind(&stream.connector, &stream.input, topics);
            let format = behind.first().map(|(_, format)| *format);
            (&stream.connector, &stream.output, format)
        });
        sources.chain(streams).collect()
    }

    /// A stream writes nothing that comes back to it, and one format.
    pub(super) fn check_streams(&self, topics: &BTreeMap<String, Topic>, problems: &mut Problems) {
        let mut in_cycles = HashSet::new();
        for stream in self.streams() {
            if in_cycles.contains(&*stream.connector.full_name) {
                continue;
            }
            if let Some(way) = self.way_back(stream) {
                in_cycles.extend(way.iter().map(|one| &*one.connector.full_name));
                problems.push(cycle(&way));
                continue;
            }
            let behind = self.formats_behind(&stream.connector, &stream.input, topics);
            let differs = |(_, other): &&(String, Format)| *other != behind[0].1;
            if let Some((other, differs)) = behind.iter().find(differs) {
                let (first, format) = &behind[0];
                let (format, differs) = (format.as_str(), differs.as_str());
                let name = &stream.connector.name;
                let message = format!(
                    "`{name}` would write {format} made of `{first}`, and {differs} made of `{other}`"
                );
                let help = "use a stream for each, or transforms that make the same of both";
                problems.push(Problem::new(stream.input.topics_span, message).help(help));
            }
        }
    }

    /// The streams on a shortest way from `first` back to it, itself before all others.
    fn way_back<'s>(&'s self, first: &'s Stream) -> Option<Vec<&'s Stream>> {
        let mut seen = HashSet::new();
        let mut ways = std::collections::VecDeque::from([vec![first]]);
        while let Some(way) = ways.pop_front() {
            let topic = way.last().and_then(|last| last.output.constant_topic());
            let Some(topic) = topic else { continue };
            if first.input.reads(topic) {
                return Some(way);
            }
            for next in self.streams().filter(|next| next.input.reads(topic)) {
                if seen.insert(&*next.connector.full_name) {
                    ways.push_back([&*way, &[next]].concat());
                }
            }
        }
        None
    }
}

/// What a stream writes comes back to it over all of `way`.
fn cycle(way: &[&Stream]) -> Problem {
    let first = way[0];
    let name = &first.connector.name;
    let to = first.output.topic.literal_prefix();
    let problem = |message| Problem::new(first.output.topic_span, message);
    let [_, others @ ..] = way else {
        unreachable!("a way begins with a stream")
    };
    if others.is_empty() {
        return problem(format!("`{name}` reads what it writes: `{to}`"))
            .related(first.input.topics_span, "read here")
            .help("write to a topic that it does not read");
    }
    let steps = others.iter().map(|stream| {
        let (name, topic) = (&stream.connector.name, stream.output.topic.literal_prefix());
        format!(" -> {name} (stream) -> {topic}")
    });
    let message = format!(
        "what `{name}` writes comes back to it: {to}{}",
        steps.collect::<String>()
    );
    let last = others.iter().fold(problem(message), |problem, stream| {
        problem.related(
            stream.output.topic_span,
            format!("`{}` writes here", stream.connector.name),
        )
    });
    last.help("let one of them write to a topic that none of the others reads")
}
