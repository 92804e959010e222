//! The manual page: one for the program and all of its commands.

use std::io::{self, Write};

use clap::builder::StyledStr;
use clap_mangen::Man;

/// Writes the page in roff.
pub(crate) fn render(command: clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    let name = command.get_name().to_owned();
    let commands: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    let man = Man::new(command.disable_help_subcommand(true));
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    // The crate's own section refers to a page for each command, and there are none.
    writeln!(page, ".SH COMMANDS")?;
    for command in commands {
        render_command(&name, command, page)?;
    }
    man.render_version_section(page)
}

fn render_command(program: &str, command: clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    let called = format!("{program} {}", command.get_name());
    let mut command = command.bin_name(called).disable_help_flag(true);
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    writeln!(page, ".TP\n\\fB{}\\fR", escape(usage))?;
    writeln!(page, "{}", text(command.get_about()))?;
    for argument in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let shown = escape(&argument.to_string());
        let help = text(argument.get_help());
        writeln!(page, ".RS\n.TP\n\\fB{shown}\\fR\n{help}\n.RE")?;
    }
    Ok(())
}

fn text(text: Option<&StyledStr>) -> String {
    text.map_or_else(String::new, |text| escape(&text.to_string()))
}

/// None of our texts begins with a dot or a quote, which roff would take for a request.
fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
