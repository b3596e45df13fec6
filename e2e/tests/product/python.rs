//! Python apps: pushed, served, pushed again out of the cache, and refused with words that help.

use e2e::{Client, Failure, Output, ensure};

fn says(pushed: &Output, lines: &[&str]) -> Result<(), Failure> {
    for line in lines {
        ensure!(pushed.stderr.contains(line), "the push does not say «{line}»:\n{}", pushed.stderr);
    }
    Ok(())
}

pub fn an_app_installed_by_pip(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("python-flask")?;
    let app = repository.create()?;
    let install = "Installing dependencies using 'pip install -r requirements.txt'";
    let pushed = repository.push()?.good()?;
    says(
        &pushed,
        &["-----> Python app detected", "-----> Using Python 3.13.", "specified in .python-version", install],
    )?;
    says(&pushed, &["Collecting flask==3.1.3", "-----> Saving cache", "Released v3"])?;
    let answer = client.get(&app, "/")?;
    for part in ["Hello from Flask", "\"python\":\"3.13.", "\"unbuffered\":\"true\"", "\"flask\":\"3.1.3\""] {
        ensure!(answer.text().contains(part), "the app does not say «{part}»: {} {}", answer.status, answer.text());
    }
    let version = repository.heroku(&["run", "-x", "--", "python --version && gunicorn --version"])?.good()?.stdout;
    ensure!(version.contains("Python 3.13.") && version.contains("gunicorn"), "in a one-off dyno: {version}");
    repository.commit("nothing new")?;
    let again = repository.push()?.good()?;
    says(&again, &["-----> Restoring cache", "Using the packages of the last build", "Released v4"])?;
    ensure!(!again.stderr.contains("Collecting"), "unchanged packages were fetched again:\n{}", again.stderr);
    client.get_until(&app, "/", |response| response.text().contains("Hello from Flask"))?;
    repository.write("requirements.txt", "flask==3.1.2\ngunicorn==27.0.1\n")?;
    repository.commit("another flask")?;
    let changed = repository.push()?.good()?;
    says(&changed, &["-----> Discarding cache since:", "The content of requirements.txt has changed"])?;
    client.get_until(&app, "/", |response| response.text().contains("\"flask\":\"3.1.2\""))?;
    refused(&repository, &app, client)
}

/// What cannot be built says why and leaves the old release serving.
fn refused(repository: &e2e::Repository<'_>, app: &str, client: &Client) -> Result<(), Failure> {
    repository.write(".python-version", "3.12.99\n")?;
    repository.commit("a version that there is not")?;
    let unknown = repository.push()?.bad()?;
    says(&unknown, &["Python 3.12.99 is not available; the nearest available versions are 3.12."])?;
    repository.write(".python-version", "3.13\n")?;
    repository.write("uv.lock", "")?;
    repository.commit("two package managers")?;
    let two = repository.push()?.bad()?;
    says(&two, &["Files of several Python package managers were found", "requirements.txt (pip)", "uv.lock (uv)"])?;
    says(&two, &["Push rejected, failed to compile Python app."])?;
    ensure!(client.get(app, "/")?.status == 200, "the old release does not serve");
    Ok(())
}

pub fn a_django_app_with_its_static_files(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("python-django")?;
    let app = repository.create()?;
    let pushed = repository.push()?.good()?;
    says(&pushed, &["-----> $ python manage.py collectstatic --noinput", "1 static file copied", "Released v3"])?;
    let page = client.get(&app, "/")?;
    let text = page.text();
    ensure!(page.status == 200 && text.contains("Hello from Django"), "{} {text}", page.status);
    let style = text.split('"').find(|part| part.starts_with("/static/style.")).ok_or("the page names no style")?;
    let style = client.get(&app, style)?;
    ensure!(style.status == 200 && style.text().contains("sans-serif"), "{} {}", style.status, style.text());
    Ok(())
}

pub fn a_uv_workspace(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("python-uv")?;
    let app = repository.create()?;
    let pushed = repository.push()?.good()?;
    let install = "-----> Installing dependencies using 'uv sync --locked --no-default-groups'";
    says(&pushed, &["-----> Python app detected", install, "+ greeting==1.0.0", "Released v3"])?;
    let answer = client.get(&app, "/")?;
    ensure!(answer.text().contains("Hello from a uv workspace"), "{} {}", answer.status, answer.text());
    let said = repository.heroku(&["run", "-x", "--", "greet"])?.good()?.stdout;
    ensure!(said.contains("Hello from a uv workspace"), "a program of the workspace says {said}");
    repository.commit("nothing new")?;
    says(&repository.push()?.good()?, &["-----> Restoring cache", "Released v4"])?;
    client.get_until(&app, "/", |response| response.text().contains("Hello from a uv workspace"))?;
    Ok(())
}
