// SPDX-License-Identifier: GPL-2.0-or-later
//! The engine's cache of entries (sheet, sections 11 and 12): sixteen, the longest unused goes.

use super::entry::Words;

const LINES: usize = 16;

#[derive(Debug, Clone, Default)]
pub struct Cache(Vec<(usize, Words)>);

impl Cache {
    /// The line of an entry, which is then the most recent.
    pub fn get(&mut self, index: usize) -> Option<Words> {
        let at = self.0.iter().position(|(line, _)| *line == index)?;
        let line = self.0.remove(at);
        self.0.push(line);
        Some(line.1)
    }

    /// Takes an entry in, or its new content.
    pub fn put(&mut self, index: usize, words: Words) {
        self.forget(index);
        if self.0.len() >= LINES {
            self.0.remove(0);
        }
        self.0.push((index, words));
    }

    pub fn forget(&mut self, index: usize) {
        self.0.retain(|(line, _)| *line != index);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_line_goes() {
        let mut cache = Cache::default();
        for index in 0..LINES {
            cache.put(index, [0; 20]);
        }
        assert!(cache.get(0).is_some());
        cache.put(100, [0; 20]);
        assert!(cache.get(0).is_some() && cache.get(1).is_none() && cache.get(100).is_some());
        cache.clear();
        assert!(cache.get(0).is_none());
    }
}
