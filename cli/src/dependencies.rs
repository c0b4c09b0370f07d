//! Dependencies between the pipelines of a run: which of them write what others read.

use aqpipe_engine::config::Pipeline;

/// By pipeline: the pipelines of the same run that write what it reads.
#[derive(Debug)]
pub(crate) struct Dependencies {
    writers: Vec<Vec<usize>>,
}

impl Dependencies {
    /// The dependencies between pipelines.
    ///
    /// # Errors
    /// Where the dependencies have a cycle: none of its pipelines would ever end.
    pub(crate) fn between_pipelines(pipelines: &[Pipeline]) -> Result<Dependencies, String> {
        let reads: Vec<Vec<String>> = pipelines.iter().map(|pipeline| pipeline.source.config.reads()).collect();
        let writes: Vec<Vec<String>> = pipelines
            .iter()
            .map(|pipeline| {
                let mut writes = pipeline.sink.config.writes();
                writes.extend(pipeline.dead_letter.iter().flat_map(|stage| stage.config.writes()));
                writes
            })
            .collect();
        let names: Vec<&str> = pipelines.iter().map(|pipeline| &*pipeline.name).collect();
        Self::between(&names, &reads, &writes)
    }

    fn between(names: &[&str], reads: &[Vec<String>], writes: &[Vec<String>]) -> Result<Dependencies, String> {
        let writers: Vec<Vec<usize>> = reads
            .iter()
            .map(|reads| (0..writes.len()).filter(|w| writes[*w].iter().any(|what| reads.contains(what))).collect())
            .collect();
        let dependencies = Dependencies { writers };
        // Removes pipelines without remaining dependencies until none is left; what remains is in a cycle or behind one.
        let mut left: Vec<usize> = (0..names.len()).collect();
        loop {
            let waiting: Vec<usize> = left
                .iter()
                .copied()
                .filter(|i| dependencies.writers[*i].iter().any(|writer| left.contains(writer)))
                .collect();
            if waiting.is_empty() {
                return Ok(dependencies);
            }
            if waiting.len() == left.len() {
                let cycle = waiting.iter().map(|i| format!("`{}`", names[*i])).collect::<Vec<_>>().join(", ");
                return Err(format!(
                    "pipelines depend on each other in a cycle, so that none of them would end: {cycle}"
                ));
            }
            left = waiting;
        }
    }

    /// The pipelines that write what this one reads.
    pub(crate) fn writers(&self, reader: usize) -> impl Iterator<Item = usize> {
        self.writers[reader].iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| format!("kafka:{name}")).collect()
    }

    #[test]
    fn the_writers_of_a_chain_are_known() {
        let reads = [topics(&[]), topics(&["a"]), topics(&["b"])];
        let writes = [topics(&["a"]), topics(&["b"]), topics(&[])];
        let dependencies = Dependencies::between(&["p", "q", "r"], &reads, &writes).expect("no cycle");
        assert_eq!(dependencies.writers(1).collect::<Vec<_>>(), [0]);
        assert_eq!(dependencies.writers(2).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_dependency_cycle_is_refused_with_its_pipelines() {
        let reads = [topics(&["b"]), topics(&["a"]), topics(&["a"])];
        let writes = [topics(&["a"]), topics(&["b"]), topics(&[])];
        let error = Dependencies::between(&["p", "q", "r"], &reads, &writes).expect_err("a cycle");
        assert!(error.contains("`p`, `q`"), "{error}");
    }
}
