//! The command by which ssh reaches an endpoint that it can't connect to.

use slurm_lease::driver::{Order, Runner, View};
use slurm_lease::{Access, Endpoint};

/// What may stand in braces in a `proxyCommand`.
pub(crate) const PLACEHOLDERS: [&str; 9] = [
    "host",
    "port",
    "user",
    "loginHost",
    "loginUser",
    "leaseId",
    "slug",
    "name",
    "jobId",
];

/// Whether the text can be a `proxyCommand`: one line, no single quote (rsync's `-e` is put in
/// single quotes by the client), and every placeholder known.
pub(crate) fn is_template(text: &str) -> bool {
    let plain = !text.contains(|c: char| c.is_control() || c == '\'');
    let known = text.split('{').skip(1).all(|part| {
        part.split_once('}')
            .is_some_and(|(name, _)| PLACEHOLDERS.contains(&name))
    });
    plain && known && text.len() <= 4096
}

/// Whether the `proxyCommand` of an order could be filled in, as far as that shows before there is
/// a job.
///
/// # Errors
/// Names what is missing or can't be a word of a command.
pub(crate) fn check(order: &Order) -> Result<(), String> {
    let access = &order.access;
    let Some(template) = &access.proxy_command else {
        return Ok(());
    };
    // Only a site's own runner can publish a login node.
    if order.runner == Runner::Bundled {
        let user = access.login.as_ref().and_then(|login| login.user.as_ref());
        let given = [
            ("loginHost", access.login.is_some()),
            ("loginUser", user.is_some()),
        ];
        for (name, is_given) in given {
            if !is_given && template.contains(&format!("{{{name}}}")) {
                return Err(format!(
                    "external.config.proxyCommand holds {{{name}}}, but external.config.{name} is not set"
                ));
            }
        }
    }
    let known = [
        ("leaseId", order.lease.to_string()),
        ("slug", order.slug.clone()),
        ("name", order.name.to_string()),
    ];
    known
        .iter()
        .try_fold(template.clone(), |command, (name, value)| {
            put(command, name, value)
        })
        .map(drop)
}

/// The `ProxyCommand` of a lease, if it has one.
///
/// # Errors
/// Names the value that holds more than letters, digits and `. _ - @ +`, and so could become a
/// word of its own in a shell.
pub(crate) fn command(view: &View, endpoint: &Endpoint) -> Result<Option<String>, String> {
    let opened = view.lease.opened();
    let access = &opened.access;
    let (login_host, login_user) = login(access, endpoint);
    if let Some(template) = endpoint
        .proxy_command
        .as_ref()
        .or(access.proxy_command.as_ref())
    {
        if !is_template(template) {
            return Err("the runner published a proxyCommand that cannot be used".to_owned());
        }
        let job = view.lease.job().map(|job| job.id.to_string());
        let values = [
            endpoint.host.clone(),
            endpoint.port.to_string(),
            endpoint.user.clone(),
            login_host.unwrap_or_default(),
            login_user.unwrap_or_default(),
            opened.lease.to_string(),
            opened.slug.clone(),
            opened.name.to_string(),
            job.unwrap_or_default(),
        ];
        return fill(template, &values).map(Some);
    }
    if access.login.is_none() {
        return Ok(None);
    }
    let user = login_user
        .map(|user| format!("{user}@"))
        .unwrap_or_default();
    Ok(login_host.map(|host| format!("ssh -W %h:%p {user}{host}")))
}

/// The login node and the user there; what the runner published goes before the config.
fn login(access: &Access, endpoint: &Endpoint) -> (Option<String>, Option<String>) {
    let configured = access.login.clone();
    let (host, user) = configured.map_or((None, None), |login| (Some(login.host), login.user));
    let (published_host, published_user) = (&endpoint.login_host, &endpoint.login_user);
    (
        published_host.clone().or(host),
        published_user.clone().or(user),
    )
}

fn fill(template: &str, values: &[String; 9]) -> Result<String, String> {
    PLACEHOLDERS
        .iter()
        .zip(values)
        .try_fold(template.to_owned(), |command, (name, value)| {
            put(command, name, value)
        })
}

fn put(command: String, name: &str, value: &str) -> Result<String, String> {
    let placeholder = format!("{{{name}}}");
    if !command.contains(&placeholder) {
        return Ok(command);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte);
    if value.is_empty() || value.starts_with('-') || !value.bytes().all(plain) {
        return Err(format!(
            "the {name} {value:?} cannot be put into proxyCommand"
        ));
    }
    Ok(command.replace(&placeholder, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_have_known_placeholders_and_no_quotes() {
        assert!(is_template("ssh -W {host}:{port} {loginUser}@{loginHost}"));
        for bad in ["ssh '{host}'", "ssh {hots}", "ssh {host", "ssh {host}\nrm"] {
            assert!(!is_template(bad), "{bad}");
        }
    }

    #[test]
    fn no_value_becomes_a_word_of_its_own() {
        let mut values: [String; 9] = Default::default();
        values[0] = "n1".to_owned();
        assert_eq!(fill("nc {host} 22", &values).unwrap(), "nc n1 22");
        for bad in ["", "n1;rm", "-x", "a b", "$(id)", "`id`"] {
            values[0] = bad.to_owned();
            assert!(fill("nc {host} 22", &values).is_err(), "{bad}");
        }
    }
}
