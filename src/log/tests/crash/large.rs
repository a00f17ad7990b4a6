//! In the random histories: a set that is written with a lease, and what else goes on meanwhile.

use super::History;
use crate::tests::oracle::{Oracle, Said};
use crate::tests::put;
use crate::{Committed, Log, LogError, Writer};

impl History {
    /// Writes the last set that was said with a lease.
    pub(super) fn submit_large(&mut self, log: &Log, writer: &mut Option<Writer>, said: &Said) {
        let Some(open) = writer else { return };
        let written = self.write_large(log, open, said);
        if written.is_err() {
            *writer = None;
        }
        let number = self.oracle.said.len() as u64;
        Oracle::answer(&self.oracle.heard, number, said, true, &written);
    }

    fn write_large(
        &mut self,
        log: &Log,
        writer: &Writer,
        said: &Said,
    ) -> Result<Committed, LogError> {
        let number = self.oracle.said.len() as u64;
        let batches = said.topic_batches(number);
        let places = batches.iter().map(|at| (at.topic.clone(), at.partition));
        let mut lease = writer.lease(&places.collect())?;
        let mut base_offsets = Vec::new();
        for batch in &batches {
            base_offsets.push(lease.append(batch)?);
            match self.random.below(6) {
                0 => self.housekeep(log),
                1 => self.read(log),
                _ => {}
            }
        }
        if self.random.one_in(8) {
            drop(lease);
            return Err(LogError::invalid("it was dropped"));
        }
        let before = (number > 1).then(|| number - 1);
        lease.commit(vec![put("position", before, number)])?;
        Ok(Committed { base_offsets })
    }
}
