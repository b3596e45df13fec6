//! The resources, from an app's making to its end.

mod support;

use http::{Method, StatusCode};
use loglines::{LogLine, Source};
use serde_json::{Value, json};
use support::{Api, path, request};

#[tokio::test]
async fn an_app_is_made_renamed_and_destroyed() {
    let api = Api::start().await;
    let made = api.app("sushi").await;
    assert_eq!(made["web_url"], "http://sushi.apps.example:5080/");
    assert_eq!(made["git_url"], "https://api.example:5080/sushi.git");
    let again = api.owner(Method::POST, "/apps", json!({"name": "sushi"})).await;
    assert_eq!((again.status, again.message()), (StatusCode::UNPROCESSABLE_ENTITY, "Name sushi is already taken"));
    let generated = api.owner(Method::POST, "/apps", json!({})).await;
    assert_eq!(generated.json["name"].as_str().unwrap().split('-').count(), 3);
    let bad = api.owner(Method::POST, "/apps", json!({"name": "Sushi"})).await;
    assert_eq!((bad.status, bad.id()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid_params"));
    let change = json!({"name": "maki", "maintenance": true, "build_stack": "heroku-22"});
    let changed = api.owner(Method::PATCH, "/apps/sushi", change).await;
    assert_eq!((&changed.json["name"], &changed.json["maintenance"]), (&json!("maki"), &json!(true)));
    assert_eq!(changed.json["build_stack"]["name"], "heroku-22");
    assert_eq!(api.get("/apps/maki/domains").await.json[0]["hostname"], "maki.apps.example");
    assert_eq!(api.owner(Method::DELETE, "/apps/maki", Value::Null).await.status, StatusCode::OK);
    assert_eq!(api.get("/apps/maki").await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.removed.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn config_vars_make_releases() {
    let api = Api::start().await;
    api.app("sushi").await;
    let set = api.owner(Method::PATCH, "/apps/sushi/config-vars", json!({"A": "1", "B": "2"})).await;
    assert_eq!(set.json, json!({"A": "1", "B": "2"}));
    let unset = api.owner(Method::PATCH, "/apps/sushi/config-vars", json!({"A": null})).await;
    assert_eq!(unset.json, json!({"B": "2"}));
    let bad = api.owner(Method::PATCH, "/apps/sushi/config-vars", json!({"1A": "x"})).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    let newest = request(Method::GET, "/apps/sushi/releases", Some(&api.owner.token))
        .header("range", "version ..; order=desc,max=1");
    let newest = api.send(newest, Value::Null).await;
    assert_eq!(newest.json[0]["version"], 4);
    assert_eq!(newest.json[0]["description"], "Remove A config vars");
    assert_eq!(api.get("/apps/sushi/releases/3/config-vars").await.json, json!({"A": "1", "B": "2"}));
    assert_eq!(api.get("/apps/sushi/releases/1").await.json["description"], "Initial release");
}

#[tokio::test]
async fn a_deployed_app_is_scaled_and_rolled_back() {
    let api = Api::start().await;
    api.app("sushi").await;
    api.deploy("sushi", "web: node index.js\nworker: node worker.js\n").await;
    let updates = json!({"updates": [{"type": "web", "quantity": "+1"}, {"type": "worker", "quantity": 1, "size": "standard-2x"}]});
    let scaled = api.owner(Method::PATCH, "/apps/sushi/formation", updates).await;
    assert_eq!(scaled.status, StatusCode::OK, "{}", scaled.text);
    let formation = api.get("/apps/sushi/formation").await.json;
    let quantities: Vec<_> =
        formation.as_array().unwrap().iter().map(|entry| (&entry["type"], &entry["quantity"])).collect();
    assert_eq!(quantities, [(&json!("web"), &json!(2)), (&json!("worker"), &json!(1))]);
    let one = api.owner(Method::PATCH, "/apps/sushi/formation/web", json!({"dyno_size": {"name": "Basic"}})).await;
    assert_eq!((&one.json["size"], &one.json["quantity"]), (&json!("Basic"), &json!(2)));
    let unknown = api.owner(Method::PATCH, "/apps/sushi/formation", json!({"updates": [{"type": "clock"}]})).await;
    assert_eq!((unknown.status, unknown.message()), (StatusCode::NOT_FOUND, "Couldn't find that process type."));
    assert_eq!(api.owner(Method::DELETE, "/apps/sushi/dynos", Value::Null).await.status, StatusCode::ACCEPTED);
    api.owner(Method::PATCH, "/apps/sushi/config-vars", json!({"A": "1"})).await;
    let back = api.owner(Method::POST, "/apps/sushi/releases", json!({"release": "3"})).await;
    assert_eq!((back.status, &back.json["description"]), (StatusCode::CREATED, &json!("Rollback to v3")));
    assert_eq!(api.get("/apps/sushi/config-vars").await.json, json!({}));
    let slug = back.json["slug"]["id"].as_str().unwrap();
    assert_eq!(api.get(&format!("/apps/sushi/slugs/{slug}")).await.json["commit"], "1234567");
}

#[tokio::test]
async fn a_source_is_uploaded_and_built_and_its_output_read() {
    let api = Api::start().await;
    api.app("sushi").await;
    let source = api.owner(Method::POST, "/sources", Value::Null).await.json;
    let put = path(&source["source_blob"]["put_url"]);
    let upload = request(Method::PUT, &put, None).body("an archive".into()).unwrap();
    assert_eq!(api.send_raw(upload).await.status, StatusCode::OK);
    let read = api.send(request(Method::GET, &path(&source["source_blob"]["get_url"]), None), Value::Null).await;
    assert_eq!(read.text, "an archive");
    let blob = |url: &Value| json!({"source_blob": {"url": url, "version": "v1"}});
    let build = api.owner(Method::POST, "/apps/sushi/builds", blob(&source["source_blob"]["get_url"])).await;
    assert_eq!((build.status, &build.json["status"]), (StatusCode::CREATED, &json!("pending")), "{}", build.text);
    let foreign = api.owner(Method::POST, "/apps/sushi/builds", blob(&json!("https://example.com/x.tgz"))).await;
    assert_eq!(foreign.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(api.get("/apps/sushi/builds").await.json[0]["id"], build.json["id"]);
    let mut output = api.platform.outputs.write(build.json["id"].as_str().unwrap()).unwrap();
    output.append(b"-----> Building\n");
    output.end();
    let stream = request(Method::GET, &path(&build.json["output_stream_url"]), None);
    assert_eq!(api.send(stream, Value::Null).await.text, "-----> Building\n");
    let forged = api.send(request(Method::GET, "/streams/builds/nonsense", None), Value::Null).await;
    assert_eq!((forged.status, forged.id()), (StatusCode::NOT_FOUND, "not_found"));
}

#[tokio::test]
async fn an_account_uploads_only_so_much_at_a_time() {
    let api = Api::start().await;
    let source = api.owner(Method::POST, "/sources", Value::Null).await.json;
    let put = path(&source["source_blob"]["put_url"]);
    let upload = |body: axum::body::Body| api.send_raw(request(Method::PUT, &put, None).body(body).unwrap());
    let endless = || futures_util::stream::pending::<Result<&'static [u8], std::io::Error>>();
    let stalled = futures_util::future::join_all((0..8).map(|_| upload(axum::body::Body::from_stream(endless()))));
    let refused = tokio::select! {
        biased;
        _ = stalled => panic!("an upload without an end ended"),
        refused = upload("an archive".into()) => refused,
    };
    assert_eq!((refused.status, refused.id()), (StatusCode::TOO_MANY_REQUESTS, "rate_limit"));
    assert_eq!(upload("an archive".into()).await.status, StatusCode::OK, "the places are free again");
}

#[tokio::test]
async fn an_uploaded_source_is_there_after_a_restart_whole_or_not_at_all() {
    let mut api = Api::start().await;
    api.app("sushi").await;
    let source = api.owner(Method::POST, "/sources", Value::Null).await.json;
    let url = source["source_blob"]["put_url"].clone();
    let upload = |body: axum::body::Body| request(Method::PUT, &path(&url), None).body(body).unwrap();
    assert_eq!(api.send_raw(upload("an archive".into())).await.status, StatusCode::OK);
    // A second upload that breaks off leaves the first.
    let pieces: [Result<&'static [u8], std::io::Error>; 2] =
        [Ok(b"another"), Err(std::io::ErrorKind::BrokenPipe.into())];
    let broken = axum::body::Body::from_stream(futures_util::stream::iter(pieces));
    assert_eq!(api.send_raw(upload(broken)).await.status, StatusCode::BAD_REQUEST);
    api.fresh_limits();
    let read = api.send(request(Method::GET, &path(&url), None), Value::Null).await;
    assert_eq!(read.text, "an archive");
    let build = api.owner(Method::POST, "/apps/sushi/builds", json!({"source_blob": {"url": url}})).await;
    assert_eq!(build.status, StatusCode::CREATED, "{}", build.text);
}

#[tokio::test]
async fn an_account_s_uploads_wait_up_to_a_bound_and_those_that_are_built_make_room() {
    let api = Api::start().await;
    api.app("sushi").await;
    let upload = async |text: String| {
        let source = api.owner(Method::POST, "/sources", Value::Null).await.json;
        let url = source["source_blob"]["put_url"].clone();
        let put = request(Method::PUT, &path(&url), None).body(text.into()).unwrap();
        (api.send_raw(put).await.status, url)
    };
    let (_, first) = upload("0".to_owned()).await;
    for number in 1..64 {
        assert_eq!(upload(number.to_string()).await.0, StatusCode::OK, "{number}");
    }
    let (refused, lost) = upload("one more".to_owned()).await;
    assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
    let build = async |url: &Value| {
        let build = json!({"source_blob": {"url": url}});
        api.owner(Method::POST, "/apps/sushi/builds", build).await.status
    };
    assert_eq!(build(&lost).await, StatusCode::UNPROCESSABLE_ENTITY, "nothing of it is there");
    assert_eq!(build(&first).await, StatusCode::CREATED);
    let (placed, url) = upload("one more".to_owned()).await;
    assert_eq!((placed, build(&url).await), (StatusCode::OK, StatusCode::CREATED));
    assert_eq!(build(&first).await, StatusCode::UNPROCESSABLE_ENTITY, "it made room");
}

#[tokio::test]
async fn a_log_is_read_as_text_and_as_events() {
    let api = Api::start().await;
    let app = api.app("sushi").await["id"].as_str().unwrap().parse().unwrap();
    for (source, dyno) in [(Source::App, "web.1"), (Source::Heroku, "router")] {
        api.sink.send(LogLine::now(app, source, dyno, format!("from {dyno}")));
    }
    let session = async |body: Value| {
        let made = api.owner(Method::POST, "/apps/sushi/log-sessions", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        path(&made.json["logplex_url"])
    };
    let all = session(json!({"lines": 10})).await;
    let text = loop {
        // The lines are on their way through the queue.
        let answer = api.send(request(Method::GET, &all, None), Value::Null).await;
        if answer.text.contains("from router") {
            break answer.text;
        }
        tokio::task::yield_now().await;
    };
    assert!(text.contains(" app[web.1]: from web.1\n"), "{text}");
    let filtered = session(json!({"source": "app", "dyno": "web.1"})).await;
    let events = request(Method::GET, &filtered, None).header("accept", "text/event-stream");
    let events = api.send(events, Value::Null).await;
    assert!(events.header("content-type").unwrap().starts_with("text/event-stream"));
    assert!(events.text.starts_with("id: ") && !events.text.contains("router"), "{}", events.text);
    let id = events.text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap();
    let seen = request(Method::GET, &filtered, None).header("accept", "text/event-stream").header("last-event-id", id);
    assert_eq!(api.send(seen, Value::Null).await.text, "");
}

#[tokio::test]
async fn the_address_of_a_log_ends_with_the_token_that_asked_for_it() {
    let api = Api::start().await;
    api.app("sushi").await;
    let token = api.token(api.owner.email, "global", None).await;
    let made = api.with(&token, Method::POST, "/apps/sushi/log-sessions", json!({"lines": 1})).await;
    let address = path(&made.json["logplex_url"]);
    let read = async || api.send(request(Method::GET, &address, None), Value::Null).await.status;
    assert_eq!(read().await, StatusCode::OK);
    let authorization = store::authorizations::by_token(&api.store, &token).await.unwrap().unwrap();
    let mut write = api.store.write().await.unwrap();
    store::authorizations::delete(&mut write, authorization.id).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(read().await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn buildpacks_are_listed_and_replaced() {
    let api = Api::start().await;
    api.app("sushi").await;
    let blob = api.get("/buildpacks/heroku%2Fnodejs").await.json["blob_url"].clone();
    assert_eq!(blob, "urn:buildpack:heroku/nodejs");
    let list = "/apps/sushi/buildpack-installations";
    let set = api.owner(Method::PUT, list, json!({"updates": [{"buildpack": blob}]})).await;
    assert_eq!(set.json, json!([{"ordinal": 0, "buildpack": {"url": blob, "name": "heroku/nodejs"}}]));
    assert_eq!(api.owner(Method::PUT, list, json!({"updates": []})).await.json, json!([]));
    let missing = api.get("/buildpacks/heroku%2Fcobol").await;
    assert_eq!((missing.status, &missing.json["resource"]), (StatusCode::NOT_FOUND, &json!("buildpack")));
}

#[tokio::test]
async fn the_catalogue_is_the_same_at_every_reading() {
    let api = Api::start().await;
    for (path, name) in [("/stacks", "heroku-24"), ("/regions", "us"), ("/dyno-sizes", "Standard-1X")] {
        let one = api.get(&format!("{path}/{name}")).await.json;
        let list = api.get(path).await.json;
        assert!(list.as_array().unwrap().contains(&one), "{path}");
        let id = one["id"].as_str().unwrap();
        assert_eq!(api.get(&format!("{path}/{id}")).await.json, one);
    }
}

#[tokio::test]
async fn an_imported_stack_is_chosen_as_herokus_are_and_no_other() {
    let api = Api::start().await;
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|stack| stack["name"].as_str().unwrap().to_owned()).collect()
    };
    // The image that stands in for Heroku's is no stack of its own.
    let expected = ["heroku-22", "heroku-24", "heroku-26", "ours-1"];
    assert_eq!(names(&api.get("/stacks").await.json), expected);
    let made = api.owner(Method::POST, "/apps", json!({"name": "sushi", "stack": "ours-1"})).await;
    assert_eq!((&made.json["stack"]["name"], &made.json["build_stack"]["name"]), (&json!("ours-1"), &json!("ours-1")));
    assert_eq!(names(&api.get("/apps/sushi/available-stacks").await.json), expected);
    let changed = api.owner(Method::PATCH, "/apps/sushi", json!({"build_stack": "heroku-24"})).await;
    assert_eq!(changed.json["build_stack"]["name"], "heroku-24");
    let id = api.get("/stacks/ours-1").await.json["id"].clone();
    let changed = api.owner(Method::PATCH, "/apps/sushi", json!({"build_stack": {"id": id}})).await;
    assert_eq!(changed.json["build_stack"]["name"], "ours-1");
    for unknown in ["debian-13", "ours-2", "../x"] {
        let refused = api.owner(Method::PATCH, "/apps/sushi", json!({"build_stack": unknown})).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{unknown}");
        assert!(refused.message().contains("choose heroku-22") && refused.message().contains("ours-1"), "{unknown}");
    }
    let apps = store::stacks::apps_on(&api.store, "ours-1".parse().unwrap()).await.unwrap();
    assert_eq!(apps, ["sushi".parse().unwrap()]);
    assert!(store::stacks::in_use(&api.store).await.unwrap().iter().any(|stack| stack.name() == "ours-1"));
}

#[tokio::test]
async fn custom_domains_are_added_and_removed() {
    let api = Api::start().await;
    api.app("sushi").await;
    let add = |name: &'static str| {
        api.owner(Method::POST, "/apps/sushi/domains", json!({"hostname": name, "sni_endpoint": null}))
    };
    let made = add("Bücher.example.").await;
    assert_eq!((made.status, &made.json["hostname"]), (StatusCode::CREATED, &json!("xn--bcher-kva.example")));
    assert_eq!((&made.json["kind"], &made.json["status"]), (&json!("custom"), &json!("succeeded")));
    assert!(made.json["cname"].as_str().unwrap().ends_with(".apps.example"));
    assert_eq!(add("*.shop.example").await.status, StatusCode::CREATED);
    for bad in
        ["shop", "127.0.0.1", "http://shop.example", "maki.apps.example", "apps.example", "xn--bcher-kva.example"]
    {
        let refused = add(bad).await;
        assert_eq!((refused.status, refused.id()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid_params"), "{bad}");
    }
    let found = api.get("/apps/sushi/domains/b%C3%BCcher.example").await;
    assert_eq!(found.json["id"], made.json["id"]);
    assert_eq!(api.get("/apps/sushi/domains").await.json.as_array().unwrap().len(), 3);
    let own = api.owner(Method::DELETE, "/apps/sushi/domains/sushi.apps.example", Value::Null).await;
    assert_eq!(own.status, StatusCode::UNPROCESSABLE_ENTITY);
    let gone = api.owner(Method::DELETE, "/apps/sushi/domains/*.shop.example", Value::Null).await;
    assert_eq!((gone.status, &gone.json["hostname"]), (StatusCode::OK, &json!("*.shop.example")));
    assert_eq!(api.get("/apps/sushi/domains/*.shop.example").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_one_off_dyno_is_made_shown_and_stopped() {
    let api = Api::start().await;
    api.app("sushi").await;
    let wish =
        json!({"attach": true, "command": "bash", "env": {"TERM": "xterm", "COLUMNS": 101, "LINES": "37", "X": null}});
    let early = api.owner(Method::POST, "/apps/sushi/dynos", wish.clone()).await;
    assert_eq!((early.status, early.id()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid_params"));
    api.deploy("sushi", "web: node index.js\n").await;
    let made = api.owner(Method::POST, "/apps/sushi/dynos", wish).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let secret = made.json["attach_url"].as_str().unwrap().strip_prefix("rendezvous://api.example:5080/").unwrap();
    assert_eq!(secret.len(), 43);
    let name = made.json["name"].as_str().unwrap();
    assert_eq!((&made.json["type"], &made.json["state"]), (&json!("run"), &json!("starting")));
    let shown = api.get(&format!("/apps/sushi/dynos/{name}")).await.json;
    assert_eq!((&shown["command"], &shown["attach_url"]), (&json!("bash"), &Value::Null));
    let detached = json!({"command": "web --once", "size": "standard-2x", "type": "task", "time_to_live": 60});
    let detached = api.owner(Method::POST, "/apps/sushi/dynos", detached).await.json;
    assert_eq!((&detached["command"], &detached["size"]), (&json!("node index.js --once"), &json!("Standard-2X")));
    assert!(detached["name"].as_str().unwrap().starts_with("task.") && detached["attach_url"].is_null());
    let stopped = api.owner(Method::POST, &format!("/apps/sushi/dynos/{name}/actions/stop"), Value::Null).await;
    assert_eq!(stopped.status, StatusCode::ACCEPTED);
    let stopped = api.owner(Method::POST, "/apps/sushi/formations/task/actions/stop", Value::Null).await;
    assert_eq!(stopped.status, StatusCode::ACCEPTED);
    let inside = api.owner(Method::POST, "/apps/sushi/dynos/web.1", json!({"command": "true"})).await;
    assert_eq!(inside.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_one_off_dyno_that_makes_no_sense_is_refused() {
    let api = Api::start().await;
    api.app("sushi").await;
    api.deploy("sushi", "web: node index.js\n").await;
    let wrong = [
        json!({"command": " "}),
        json!({"command": "a", "env": {"NOT A NAME": "x"}}),
        json!({"command": "a", "env": {"A": ["x"]}}),
        json!({"command": "a", "env": {"A": "x\u{0}"}}),
        json!({"command": "a", "size": "huge"}),
        json!({"command": "a", "type": "release"}),
        json!({"command": "a", "type": "no type"}),
        json!({"command": "a", "time_to_live": 86_401}),
    ];
    for body in wrong {
        let refused = api.owner(Method::POST, "/apps/sushi/dynos", body.clone()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", refused.text);
    }
    let none = api.owner(Method::POST, "/apps/sushi/dynos", json!({})).await;
    assert!(none.status.is_client_error(), "{}", none.text);
}
