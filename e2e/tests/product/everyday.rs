//! What a user types in a normal week, beside deploying.

use e2e::{Client, Failure, ensure, request};

pub fn custom_domains_lead_to_the_app(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    client.get_until(&app, "/", |answer| answer.status == 200)?;
    let status = |host: &str| request(client.address(), "GET", host, "/", &[], &[]).map(|answer| answer.status);
    ensure!(status("www.shop.example")? == 404, "a name nobody added is somebody's");
    let added = repository.heroku(&["domains:add", "www.shop.example"])?.good()?;
    ensure!(added.both().contains(".localhost"), "domains:add names no DNS target: {}", added.both());
    repository.heroku(&["domains:add", "*.menü.example"])?.good()?;
    repository.heroku(&["domains:wait"])?.good()?;
    let listed = repository.heroku(&["domains"])?.good()?;
    for name in ["www.shop.example", "*.xn--men-joa.example", &format!("{app}.localhost")] {
        ensure!(listed.stdout.contains(name), "domains lacks {name}: {}", listed.both());
    }
    let info = repository.heroku(&["domains:info", "www.shop.example"])?.good()?;
    ensure!(info.stdout.contains("custom"), "domains:info said: {}", info.both());
    for host in ["www.shop.example", "WWW.Shop.example:80", "today.xn--men-joa.example", "a.b.xn--men-joa.example"] {
        e2e::until("a domain leads to its app", || Ok(status(host)? == 200))?;
    }
    ensure!(status("shop.example")? == 404, "www.shop.example stands for shop.example");
    let other = client.repository("hello")?;
    other.create()?;
    let taken = other.heroku(&["domains:add", "www.shop.example"])?.bad()?;
    ensure!(taken.both().contains("in use"), "another app's domain: {}", taken.both());
    let bad = other.heroku(&["domains:add", "http://shop.example"])?.bad()?;
    ensure!(bad.both().contains("host name"), "a URL as a domain: {}", bad.both());
    repository.heroku(&["domains:remove", "www.shop.example"])?.good()?;
    e2e::until("a removed domain leads nowhere", || Ok(status("www.shop.example")? == 404))?;
    repository.heroku(&["domains:clear"])?.good()?;
    e2e::until("no custom domain is left", || Ok(status("today.xn--men-joa.example")? == 404))?;
    ensure!(client.get(&app, "/")?.status == 200, "the app's own domain went with the others");
    Ok(())
}

pub fn what_there_is_is_listed(client: &Client) -> Result<(), Failure> {
    let repository = client.repository("hello")?;
    repository.create()?;
    for (command, word) in [
        (&["access"][..], "owner"),
        (&["addons"], "No add-ons"),
        (&["apps:stacks"], "* heroku-24"),
        (&["buildpacks:search", "node"], "heroku/nodejs"),
        (&["buildpacks:info", "heroku/nodejs"], "Node.js"),
        (&["buildpacks:versions", "heroku/nodejs"], "published"),
        (&["certs"], "no SSL certificates"),
        (&["certs:auto"], "disabled"),
        (&["drains"], ""),
        (&["features"], "App Features"),
        (&["labs"], "App Features"),
        (&["pg"], "no heroku-postgresql"),
        (&["pipelines"], "Pipelines"),
        (&["ps:wait"], ""),
        (&["redis"], ""),
        (&["regions"], "us"),
        (&["status"], "No known issues"),
        (&["webhooks"], "no webhooks"),
        (&["local:version"], "."),
    ] {
        let told = repository.heroku(command)?.good()?;
        ensure!(told.both().contains(word), "{command:?} lacks {word:?}: {}", told.both());
    }
    repository.heroku(&["apps:stacks:set", "heroku-22"])?.good()?;
    let stacks = repository.heroku(&["apps:stacks"])?.good()?;
    ensure!(stacks.stdout.contains("heroku-22") && stacks.both().contains("next deploy"), "stacks: {}", stacks.both());
    let unknown = repository.heroku(&["apps:stacks:set", "cedar-14"])?.bad()?;
    ensure!(unknown.both().contains("tack"), "an unknown stack: {}", unknown.both());
    Ok(())
}
