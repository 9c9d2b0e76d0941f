//! A document's fenced blocks: what a reader pastes, and what is answered.

/// Commands, and what they print.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The line of the first command, from 1.
    pub(crate) line: usize,
    pub(crate) commands: String,
    /// The line where the answer begins; that of the commands where there is none.
    pub(crate) answer_line: usize,
    /// Nothing is printed where it is empty.
    pub(crate) answer: String,
}

struct Block<'a> {
    info: &'a str,
    /// The first line within, from 1.
    line: usize,
    /// The line of the closing fence.
    end: usize,
    text: String,
}

/// The steps of a document in their order: a block of `sh`, and the block of `text` that follows it. Anything else in a
/// fence is refused, so that no command is left out unseen; only `make …` may stand in `console`.
pub(crate) fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    // where the answer to the last commands would have to begin
    let mut due = 0;
    for block in blocks(document) {
        let line = block.line;
        match block.info {
            "sh" => {
                due = block.end + 2;
                steps.push(Step {
                    line,
                    commands: block.text,
                    answer_line: line,
                    answer: String::new(),
                });
            }
            "text" => {
                assert_eq!(line, due + 1, "line {line}: an answer to nothing");
                let step = steps.last_mut().unwrap();
                (step.answer_line, step.answer) = (line, block.text);
            }
            "console" => {
                let other = block.text.lines().find(|command| !command.starts_with("make "));
                assert_eq!(other, None, "line {line}: nobody runs it");
            }
            info => panic!("line {line}: a block of {info:?}, which nobody runs"),
        }
    }
    steps
}

fn blocks(document: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (index, text) in document.lines().enumerate() {
        let line = index + 1;
        let fence = text.strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(info)) => {
                open = Some(Block {
                    info,
                    line: line + 1,
                    end: 0,
                    text: String::new(),
                });
            }
            (Some(_), Some(rest)) => {
                assert_eq!(rest, "", "line {line}: a fence within a fence");
                blocks.extend(open.take().map(|block| Block { end: line, ..block }));
            }
            (Some(block), None) => {
                block.text.push_str(text);
                block.text.push('\n');
            }
            (None, None) => {
                let hidden = text.contains("```") || text.starts_with("~~~") || text.starts_with("    ");
                assert!(!hidden, "line {line}: a block that is not seen as one");
            }
        }
    }
    assert!(open.is_none(), "the last fence is not closed");
    blocks
}

#[test]
fn commands_go_with_the_answer_that_follows_them() {
    let document =
        "Start:\n\n```console\nmake up\n```\n\n```sh\necho 1\n```\n\n```text\n1\n```\n\n```sh\ntrue\n```\n";
    let step = |line, commands: &str, answer_line, answer: &str| Step {
        line,
        commands: commands.to_owned(),
        answer_line,
        answer: answer.to_owned(),
    };
    let expected = [step(8, "echo 1\n", 12, "1\n"), step(16, "true\n", 16, "")];
    assert_eq!(steps(document), expected);
}

#[test]
fn what_nobody_would_run_is_refused() {
    for document in [
        "```bash\nrm -r x\n```",
        "```console\ncurl x\n```",
        "```text\n1\n```",
        "```sh\ntrue\n```\n\nProse.\n\n```text\n1\n```",
        "```sh\ntrue\n",
        "- ```sh\n  true\n  ```",
        "    curl x",
    ] {
        assert!(
            std::panic::catch_unwind(|| steps(document)).is_err(),
            "{document}"
        );
    }
}
