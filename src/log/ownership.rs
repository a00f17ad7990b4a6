//! The part of the state that belongs to connectors: their state, offsets and registrations, and
//! what becomes of it when one is renamed or forgotten.

use crate::entry::Entry;
use crate::registration::RegistrationInfo;
use crate::state::{Group, Owner, State};

impl State {
    fn owner_mut(&mut self, owner: &str) -> &mut Owner {
        if !self.owners.contains_key(owner) {
            self.owners.insert(owner.to_owned(), Owner::default());
        }
        self.owners
            .get_mut(owner)
            .unwrap_or_else(|| unreachable!("inserted above"))
    }

    fn group_mut(&mut self, group: &str) -> &mut Group {
        if !self.groups.contains_key(group) {
            self.groups.insert(group.to_owned(), Group::default());
        }
        self.groups
            .get_mut(group)
            .unwrap_or_else(|| unreachable!("inserted above"))
    }

    pub(crate) fn apply_to_owners(&mut self, entry: &Entry) {
        match entry {
            Entry::StatePut { owner, key, value } => {
                self.owner_mut(owner)
                    .state
                    .insert(key.clone(), value.clone());
            }
            Entry::StateDeleted { owner, key } => {
                self.owner_mut(owner).state.remove(key);
            }
            Entry::GroupOffset { group, key, offset } => {
                self.group_mut(group).offsets.insert(*key, *offset);
            }
            Entry::GroupOffsetDeleted { group, key } => {
                self.group_mut(group).offsets.remove(key);
            }
            Entry::GroupGeneration { group, generation } => {
                self.group_mut(group).generation = *generation;
            }
            Entry::TaskGeneration {
                owner,
                task,
                generation,
            } => {
                self.owner_mut(owner).generations.insert(*task, *generation);
            }
            Entry::Registered {
                registration,
                configured_ms,
            } => {
                let info = RegistrationInfo {
                    registration: registration.clone(),
                    last_configured_ms: *configured_ms,
                };
                self.registrations.insert(registration.name.clone(), info);
            }
            Entry::Forgotten { name } => self.forget(name),
            Entry::Renamed { old, new } => self.rename(old, new),
            // A set's effects are the entries behind it; this one tells who did it.
            _ => {}
        }
    }

    /// Whether a registration other than `name` keeps its offsets and state under `group`.
    fn is_shared(&self, group: &str, name: &str) -> bool {
        let mut others = self.registrations.values().map(|info| &info.registration);
        others.any(|other| other.name != name && other.group_name() == group)
    }

    /// The names under which connector `name` alone keeps offsets and state.
    pub(crate) fn owned_alone(&self, name: &str) -> Vec<String> {
        let registration = self.registrations.get(name);
        let group = registration.map_or(name, |info| info.registration.group_name());
        let mut owned = vec![name.to_owned(), group.to_owned()];
        owned.dedup();
        owned.retain(|owned| !self.is_shared(owned, name));
        owned
    }

    /// Whether `name` is what a registration calls its group, which then keeps that name.
    pub(crate) fn is_named_group(&self, name: &str) -> bool {
        let mut all = self.registrations.values().map(|info| &info.registration);
        all.any(|registration| registration.group.as_deref() == Some(name))
    }

    /// Generations stay, and those of groups rise: neither an open writer nor what stands at a far
    /// side must ever become current again.
    fn forget(&mut self, name: &str) {
        for owned in self.owned_alone(name) {
            if let Some(group) = self.groups.get_mut(&owned) {
                group.offsets.clear();
                group.generation += 1;
            }
            if let Some(owner) = self.owners.get_mut(&owned) {
                owner.state.clear();
            }
        }
        self.registrations.remove(name);
    }

    /// A named group keeps its name, and so its offsets and state.
    fn rename(&mut self, old: &str, new: &str) {
        if !self.is_named_group(old) {
            if let Some(owner) = self.owners.get_mut(old) {
                let state = std::mem::take(&mut owner.state);
                self.owner_mut(new).state = state;
            }
            if let Some(group) = self.groups.get_mut(old) {
                let (offsets, generation) = (std::mem::take(&mut group.offsets), group.generation);
                group.generation += 1;
                let group = self.group_mut(new);
                (group.offsets, group.generation) = (offsets, group.generation.max(generation));
            }
        }
        if let Some(mut info) = self.registrations.remove(old) {
            info.registration.name = new.to_owned();
            self.registrations.insert(new.to_owned(), info);
        }
    }
}
