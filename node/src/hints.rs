//! Commands in texts for people, made to work when they are pasted.
//!
//! A text says a command in backticks, as in "`haulout ls`", and knows nothing of how the program was
//! called; whoever prints it adds the flags without which the command would mean something else.
//! Promises: a command that names such a flag itself stays as it is, and so does everything outside
//! of backticks. Does not: know which flags those are.

/// The text with `flags` (as in `--name night`) in every command of `program` that it says, also in one that
/// is a part of another: `devnet faucet $(haulout wallet address)`.
pub fn with_flags(text: &str, program: &str, flags: &str) -> String {
    let Some(first_flag) = flags.split(' ').next().filter(|flag| !flag.is_empty()) else {
        return text.to_owned();
    };
    let inner = (format!("$({program} "), format!("$({program} {flags} "));
    let command = |piece: &str| {
        let piece = piece.replace(&inner.0, &inner.1);
        match piece.strip_prefix(program) {
            Some(rest) if rest.is_empty() || rest.starts_with(' ') => {
                format!("{program} {flags}{rest}")
            }
            _ => piece,
        }
    };
    let pieces = text.split('`').enumerate().map(|(at, piece)| {
        let is_command = at % 2 == 1 && !piece.contains(first_flag);
        if is_command { command(piece) } else { piece.to_owned() }
    });
    pieces.collect::<Vec<_>>().join("`")
}

/// The text without what it says for devnets only: from "; on a devnet" to the end of the line. For a network
/// that is none of this machine's devnets, whose commands would reach another one.
pub fn without_devnet(text: &str) -> String {
    let of_line = |line: &str| line.split("; on a devnet").next().unwrap_or_default().to_owned();
    text.split('\n').map(of_line).collect::<Vec<_>>().join("\n")
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
    fn a_command_in_a_command_gets_its_own_flags() {
        let text = "on a devnet: `devnet faucet $(haulout -q wallet address)`";
        let with_name = with_flags(text, "devnet", "--name night");
        assert_eq!(
            with_flags(&with_name, "haulout", "--config a.toml"),
            "on a devnet: `devnet --name night faucet $(haulout --config a.toml -q wallet address)`"
        );
    }

    #[test]
    fn what_is_said_for_devnets_goes_and_the_other_lines_stay() {
        let text =
            "send coins (`haulout wallet address`); on a devnet: `devnet faucet 0x1`\nuse it";
        assert_eq!(without_devnet(text), "send coins (`haulout wallet address`)\nuse it");
        assert_eq!(without_devnet("`devnet up -d` starts one"), "`devnet up -d` starts one");
    }

    #[test]
    fn a_command_that_says_the_flag_itself_and_a_call_without_flags_stay() {
        check("`devnet up --fresh --name x`", "`devnet up --fresh --name x`");
        assert_eq!(with_flags("`devnet up`", "devnet", ""), "`devnet up`");
    }
}
