//! Commands in texts for people, made to work when they are pasted.
//!
//! A text says a command in backticks, as in "`haulout ls`", and knows nothing of how the program was
//! called; whoever prints it adds the flags without which the command would mean something else.
//! Promises: a command that names such a flag itself stays as it is, and so does everything outside
//! of backticks. Does not: know which flags those are.

/// The text with `flags` (as in `--name night`) in every command of `program` that it says.
pub fn with_flags(text: &str, program: &str, flags: &str) -> String {
    let Some(first_flag) = flags.split(' ').next().filter(|flag| !flag.is_empty()) else {
        return text.to_owned();
    };
    let mut pieces = text.split('`');
    let mut result = pieces.next().unwrap_or_default().to_owned();
    let mut is_quoted = true;
    for piece in pieces {
        result.push('`');
        let rest = piece.strip_prefix(program).filter(|_| is_quoted);
        match rest {
            Some("") => result.push_str(&format!("{program} {flags}")),
            Some(rest) if rest.starts_with(' ') && !piece.contains(first_flag) => {
                result.push_str(&format!("{program} {flags}{rest}"));
            }
            _ => result.push_str(piece),
        }
        is_quoted = !is_quoted;
    }
    result
}

/// A word as a shell reads it back: as it is if it is plain, else in single quotes.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(with_flags(text, "devnet", "--name night"), expected);
    }

    #[test]
    fn every_command_in_backticks_gets_the_flags_and_nothing_else_does() {
        check(
            "see `devnet logs n1`, then `devnet up`",
            "see `devnet --name night logs n1`, then `devnet --name night up`",
        );
        check("devnet up, the devnet; `devnetwork`", "devnet up, the devnet; `devnetwork`");
        check("`haulout ls` or `devnet`", "`haulout ls` or `devnet --name night`");
        check("`a` devnet up `b`", "`a` devnet up `b`");
        check("an open ` devnet up", "an open ` devnet up");
    }

    #[test]
    fn a_command_that_says_the_flag_itself_and_a_call_without_flags_stay() {
        check("`devnet up --fresh --name x`", "`devnet up --fresh --name x`");
        assert_eq!(with_flags("`devnet up`", "devnet", ""), "`devnet up`");
    }

    #[test]
    fn words_are_quoted_so_that_a_shell_reads_them_back() {
        let read_back = |word: &str| {
            let shell = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output();
            String::from_utf8(shell.expect("there is a shell").stdout).expect("text")
        };
        for word in ["plain/file.toml", "with a space", "it's", "$HOME`x`\"", "", "a\nb"] {
            assert_eq!(read_back(word), word);
        }
    }
}
