//! The table of contents: one line per endpoint.

use access::Action;
use axum::Router;
use axum::handler::Handler;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use crate::http::permitted::Passes;
use crate::http::state::{Shared, State};
use crate::http::{accept, cors, etag, guard, head, panic, request_id, to_the_end};
use crate::platform::Platform;
use crate::resources::{
    account, app_errors, app_transfers, apps, authorizations, billing, buildpack_registry, buildpacks, builds,
    collaborators, config_vars, domains, dyno_sizes, dynos, favorites, features, filter_apps, formation, generations,
    keys, log_sessions, missing, none, notifications, oauth_clients, oauth_tokens, regions, releases, sessions, slugs,
    sources, stacks, status, team_apps, team_invitations, team_members, team_permissions, teams, user_preferences,
    webhooks,
};
use crate::served;
use crate::signin;
use crate::streams;
use crate::unbuilt;

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever has a token, for what is theirs.
    Token,
    /// Email and password do as well: it is how one gets a token.
    TokenOrPassword,
    /// Whoever knows the address; it holds a secret or nothing worth hiding.
    Open,
    /// Whoever has a browser: a page that asks for what it needs itself.
    Page,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path; `{app}` is a parameter.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it does, as its handler's first argument says; nothing where no token is asked for.
    pub action: Option<Action>,
}

/// The API as a router. What it does not know it answers itself with 404, 405 or 501; a door that shares its hosts
/// (git) goes before it.
pub fn router(platform: Platform) -> Router {
    let state = State::new(platform);
    let table = contents(Some(&state)).router;
    let api = layered(table.fallback(unbuilt::answer).method_not_allowed_fallback(unbuilt::answer));
    api.merge(signin::router()).with_state(state)
}

/// Every endpoint there is, for tests that must not forget one.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    let pages = signin::table().into_iter().map(|(path, _)| Endpoint {
        method: Method::GET,
        path,
        access: Access::Page,
        action: None,
    });
    contents(None).endpoints.into_iter().chain(pages).collect()
}

fn contents(state: Option<&Shared>) -> Table<'_> {
    let table = Table { router: Router::new(), endpoints: vec![], state };
    open(teams(app_parts(app(offers(accounts(table))))))
}

fn accounts(table: Table<'_>) -> Table<'_> {
    table
        .token(Method::GET, "/account", account::info)
        .token(Method::PATCH, "/account", account::update)
        .token(Method::DELETE, "/account", account::delete)
        .token(Method::GET, "/account/rate-limits", account::rate_limits)
        .token(Method::GET, "/account/features", none::of_platform)
        .token(Method::GET, "/account/features/{feature}", missing::feature)
        .token(Method::GET, "/account/keys", keys::list)
        .token(Method::POST, "/account/keys", keys::create)
        .token(Method::GET, "/account/keys/{key}", keys::info)
        .token(Method::DELETE, "/account/keys/{key}", keys::delete)
        .token(Method::GET, "/users/{user}", account::user)
        .token(Method::PATCH, "/users/{user}", account::update_user)
        .token(Method::DELETE, "/users/{user}", account::delete_user)
        .token(Method::GET, "/users/{user}/preferences", user_preferences::info)
        .token(Method::PATCH, "/users/{user}/preferences", user_preferences::update)
        .token(Method::GET, "/users/{user}/sms-number", account::sms_number)
        .token(Method::GET, "/users/{user}/addons", none::of_user)
        .token(Method::GET, "/users/{user}/pipeline-couplings", none::of_user)
        .token(Method::GET, "/users/{user}/apps", account::apps)
        .token(Method::GET, "/account/app-transfers", app_transfers::list)
        .token(Method::POST, "/account/app-transfers", app_transfers::create)
        .token(Method::GET, "/account/app-transfers/{transfer}", app_transfers::info)
        .token(Method::PATCH, "/account/app-transfers/{transfer}", app_transfers::update)
        .token(Method::DELETE, "/account/app-transfers/{transfer}", app_transfers::delete)
        .token_or_password(Method::POST, "/oauth/authorizations", authorizations::create)
        .token(Method::GET, "/oauth/authorizations", authorizations::list)
        .token(Method::GET, "/oauth/authorizations/{authorization}", authorizations::info)
        .token(Method::PATCH, "/oauth/authorizations/{authorization}", authorizations::update)
        .token(Method::DELETE, "/oauth/authorizations/{authorization}", authorizations::delete)
        .token(
            Method::POST,
            "/oauth/authorizations/{authorization}/actions/regenerate-tokens",
            authorizations::regenerate,
        )
        .token(Method::GET, "/oauth/clients", oauth_clients::list)
        .token(Method::POST, "/oauth/clients", oauth_clients::create)
        .token(Method::GET, "/oauth/clients/{client}", oauth_clients::info)
        .token(Method::PATCH, "/oauth/clients/{client}", oauth_clients::update)
        .token(Method::DELETE, "/oauth/clients/{client}", oauth_clients::delete)
        .token(Method::POST, "/oauth/clients/{client}/actions/rotate-credentials", oauth_clients::rotate)
        .token(Method::DELETE, "/oauth/tokens/{token}", oauth_tokens::delete)
        .token(Method::GET, "/oauth/sessions", sessions::list)
        .token(Method::DELETE, "/oauth/sessions/{session}", sessions::delete)
        .token(Method::GET, "/favorites", favorites::list)
        .token(Method::POST, "/favorites", favorites::create)
        .token(Method::DELETE, "/favorites/{favorite}", favorites::delete)
        .token(Method::GET, "/user/notifications", notifications::list)
        .token(Method::PATCH, "/user/notifications/{notification}", notifications::update)
        .token(Method::POST, "/sources", sources::create)
}

/// What the platform has for everyone, and what it has not.
fn offers(table: Table<'_>) -> Table<'_> {
    table
        .token(Method::GET, "/regions", regions::list)
        .token(Method::GET, "/regions/{region}", regions::info)
        .token(Method::GET, "/stacks", stacks::list)
        .token(Method::GET, "/stacks/{stack}", stacks::info)
        .token(Method::GET, "/dyno-sizes", dyno_sizes::list)
        .token(Method::GET, "/dyno-sizes/{size}", dyno_sizes::info)
        .token(Method::GET, "/addons", none::of_platform)
        .token(Method::GET, "/addon-attachments", none::of_platform)
        .token(Method::GET, "/pipelines", none::of_platform)
        .token(Method::GET, "/pipeline-couplings", none::of_platform)
        .token(Method::GET, "/regions/{region}/addon-region-capabilities", regions::capabilities)
        .token(Method::GET, "/generations", generations::list)
        .token(Method::GET, "/generations/{generation}", generations::info)
        .token(Method::GET, "/addon-services", none::of_platform)
        .token(Method::GET, "/addon-services/{service}", missing::addon_service)
        .token(Method::GET, "/addon-region-capabilities", none::of_platform)
        .token(Method::GET, "/spaces", none::of_platform)
        .token(Method::GET, "/spaces/{space}", missing::space)
        .token(Method::GET, "/enterprise-accounts", none::of_platform)
        .token(Method::GET, "/enterprise-accounts/{enterprise_account}", missing::enterprise_account)
        .token(Method::GET, "/telemetry-drains/{drain}", missing::telemetry_drain)
        .token(Method::GET, "/account/delinquency", billing::delinquency)
        .token(Method::GET, "/account/credits", none::of_platform)
        .token(Method::GET, "/account/credits/{credit}", missing::credit)
        .token(Method::GET, "/account/invoices", none::of_platform)
        .token(Method::GET, "/account/invoices/{invoice}", missing::invoice)
}

fn app(table: Table<'_>) -> Table<'_> {
    table
        .token(Method::GET, "/apps", apps::list)
        .token(Method::POST, "/filters/apps", filter_apps::list)
        .token(Method::POST, "/apps", apps::create)
        .token(Method::GET, "/apps/{app}", apps::info)
        .token(Method::PATCH, "/apps/{app}", apps::update)
        .token(Method::DELETE, "/apps/{app}", apps::delete)
        .token(Method::GET, "/apps/{app}/config-vars", config_vars::info)
        .token(Method::PATCH, "/apps/{app}/config-vars", config_vars::update)
        .token(Method::GET, "/apps/{app}/releases", releases::list)
        .token(Method::POST, "/apps/{app}/releases", releases::create)
        .token(Method::GET, "/apps/{app}/releases/{release}", releases::info)
        .token(Method::GET, "/apps/{app}/releases/{release}/config-vars", config_vars::of_release)
        .token(Method::GET, "/apps/{app}/slugs/{slug}", slugs::info)
        .token(Method::POST, "/apps/{app}/sources", sources::create_for_app)
        .token(Method::GET, "/apps/{app}/builds", builds::list)
        .token(Method::POST, "/apps/{app}/builds", builds::create)
        .token(Method::GET, "/apps/{app}/builds/{build}", builds::info)
        .token(Method::DELETE, "/apps/{app}/builds/{build}", builds::cancel)
        .token(Method::DELETE, "/apps/{app}/build-cache", builds::purge_cache)
        .token(Method::GET, "/apps/{app}/buildpack-installations", buildpacks::list)
        .token(Method::PUT, "/apps/{app}/buildpack-installations", buildpacks::replace)
}

fn app_parts(table: Table<'_>) -> Table<'_> {
    table
        .token(Method::GET, "/apps/{app}/formation", formation::list)
        .token(Method::PATCH, "/apps/{app}/formation", formation::update)
        .token(Method::GET, "/apps/{app}/formation/{type}", formation::info)
        .token(Method::PATCH, "/apps/{app}/formation/{type}", formation::update_one)
        .token(Method::GET, "/apps/{app}/dynos", dynos::list)
        .token(Method::POST, "/apps/{app}/dynos", dynos::create)
        .token(Method::DELETE, "/apps/{app}/dynos", dynos::restart_all)
        .token(Method::GET, "/apps/{app}/dynos/{dyno}", dynos::info)
        .token(Method::POST, "/apps/{app}/dynos/{dyno}", dynos::run_inside)
        .token(Method::DELETE, "/apps/{app}/dynos/{dyno}", dynos::restart)
        .token(Method::POST, "/apps/{app}/dynos/{dyno}/actions/stop", dynos::restart)
        .token(Method::DELETE, "/apps/{app}/formations/{type}", dynos::restart_type)
        .token(Method::POST, "/apps/{app}/formations/{type}/actions/stop", dynos::stop_type)
        .token(Method::POST, "/apps/{app}/log-sessions", log_sessions::create)
        .token(Method::GET, "/apps/{app}/router-metrics/errors", app_errors::of_router)
        .token(Method::GET, "/apps/{app}/formation/{type}/metrics/errors", app_errors::of_type)
        .token(Method::GET, "/apps/{app}/domains", domains::list)
        .token(Method::POST, "/apps/{app}/domains", domains::create)
        .token(Method::GET, "/apps/{app}/domains/{domain}", domains::info)
        .token(Method::PATCH, "/apps/{app}/domains/{domain}", domains::update)
        .token(Method::DELETE, "/apps/{app}/domains/{domain}", domains::delete)
        .token(Method::GET, "/apps/{app}/collaborators", collaborators::list)
        .token(Method::POST, "/apps/{app}/collaborators", collaborators::create)
        .token(Method::GET, "/apps/{app}/collaborators/{collaborator}", collaborators::info)
        .token(Method::DELETE, "/apps/{app}/collaborators/{collaborator}", collaborators::delete)
        .token(Method::GET, "/apps/{app}/features", features::list)
        .token(Method::GET, "/apps/{app}/features/{feature}", features::info)
        .token(Method::PATCH, "/apps/{app}/features/{feature}", features::update)
        .token(Method::GET, "/apps/{app}/available-stacks", stacks::of_app)
        .token(Method::GET, "/apps/{app}/available-dyno-sizes", dyno_sizes::of_app)
        .token(Method::GET, "/apps/{app}/usage", billing::app_usage)
        .token(Method::GET, "/apps/{app}/telemetry-drains", none::of_app)
        .token(Method::GET, "/apps/{app}/addons", none::of_app)
        .token(Method::GET, "/apps/{app}/addon-attachments", none::of_app)
        .token(Method::GET, "/apps/{app}/log-drains", none::of_app)
        .token(Method::GET, "/apps/{app}/sni-endpoints", none::of_app)
        .token(Method::GET, "/apps/{app}/webhooks", webhooks::list)
        .token(Method::POST, "/apps/{app}/webhooks", webhooks::create)
        .token(Method::GET, "/apps/{app}/webhooks/{webhook}", webhooks::info)
        .token(Method::PATCH, "/apps/{app}/webhooks/{webhook}", webhooks::update)
        .token(Method::DELETE, "/apps/{app}/webhooks/{webhook}", webhooks::delete)
        .token(Method::GET, "/apps/{app}/webhook-deliveries", webhooks::deliveries)
        .token(Method::GET, "/apps/{app}/webhook-deliveries/{delivery}", webhooks::delivery_info)
        .token(Method::GET, "/apps/{app}/webhook-events", webhooks::events)
        .token(Method::GET, "/apps/{app}/webhook-events/{event}", webhooks::event_info)
        .token(Method::GET, "/apps/{app}/pipeline-couplings", missing::coupling)
        .token(Method::GET, "/apps/{app}/review-app", missing::review_app)
}

fn teams(table: Table<'_>) -> Table<'_> {
    table
        .token(Method::GET, "/teams", teams::list)
        .token(Method::POST, "/teams", teams::create)
        .token(Method::GET, "/teams/permissions", teams::permissions)
        .token(Method::GET, "/teams/{team}", teams::info)
        .token(Method::PATCH, "/teams/{team}", teams::update)
        .token(Method::DELETE, "/teams/{team}", teams::delete)
        .token(Method::GET, "/teams/{team}/features", teams::features)
        .token(Method::GET, "/teams/{team}/features/{feature}", teams::feature)
        .token(Method::GET, "/teams/{team}/preferences", teams::preferences)
        .token(Method::PATCH, "/teams/{team}/preferences", teams::set_preferences)
        .token(Method::GET, "/teams/{team}/invitations", team_invitations::list)
        .token(Method::PUT, "/teams/{team}/invitations", team_invitations::put)
        .token(Method::DELETE, "/teams/{team}/invitations/{invitation}", team_invitations::delete)
        .token(Method::GET, "/teams/invitations/{invitation}", team_invitations::info)
        .token(Method::POST, "/teams/invitations/{invitation}/accept", team_invitations::accept)
        .token(Method::GET, "/teams/{team}/permissions", team_permissions::list)
        .token(Method::GET, "/teams/{team}/addons", none::of_team)
        .token(Method::GET, "/teams/{team}/spaces", none::of_team)
        .token(Method::GET, "/teams/{team}/pipeline-couplings", none::of_team)
        .token(Method::GET, "/teams/{team}/allowed-addon-services", none::of_team)
        .token(Method::GET, "/teams/{team}/identity-providers", none::of_team)
        .token(Method::GET, "/teams/{team}/invoices", none::of_team)
        .token(Method::GET, "/teams/{team}/licenses", none::of_team)
        .token(Method::GET, "/teams/{team}/license-collections", none::of_team)
        .token(Method::GET, "/teams/{team}/invoices/{invoice}", missing::team_invoice)
        .token(Method::GET, "/teams/{team}/delinquency", billing::team_delinquency)
        .token(Method::GET, "/teams/{team}/available-generations", generations::of_team)
        .token(Method::GET, "/teams/{team}/usage", billing::team_usage)
        .token(Method::GET, "/teams/{team}/apps/{app}/usage", billing::team_app_usage)
        .token(Method::GET, "/teams/{team}/members", team_members::list)
        .token(Method::PUT, "/teams/{team}/members", team_members::put)
        .token(Method::POST, "/teams/{team}/members", team_members::create)
        .token(Method::PATCH, "/teams/{team}/members", team_members::update)
        .token(Method::DELETE, "/teams/{team}/members/{member}", team_members::delete)
        .token(Method::GET, "/teams/{team}/members/{member}/apps", team_apps::of_member)
        .token(Method::GET, "/teams/{team}/apps", team_apps::list)
        .token(Method::POST, "/teams/apps", team_apps::create)
        .token(Method::GET, "/teams/apps/{app}", team_apps::info)
        .token(Method::PATCH, "/teams/apps/{app}", team_apps::update)
        .token(Method::GET, "/teams/apps/{app}/collaborators", collaborators::list)
        .token(Method::POST, "/teams/apps/{app}/collaborators", collaborators::create_on_team_app)
        .token(Method::GET, "/teams/apps/{app}/collaborators/{collaborator}", collaborators::info)
        .token(Method::PATCH, "/teams/apps/{app}/collaborators/{collaborator}", collaborators::update)
        .token(Method::DELETE, "/teams/apps/{app}/collaborators/{collaborator}", collaborators::delete)
}

fn open(table: Table<'_>) -> Table<'_> {
    table
        .open(Method::GET, "/schema", served::schema)
        .open(Method::GET, "/api/v4/current-status", status::current)
        .open(Method::POST, "/auth", signin::begin)
        .open(Method::POST, "/oauth/tokens", oauth_tokens::create)
        .open(Method::GET, "/buildpacks", buildpack_registry::search)
        .open(Method::GET, "/buildpacks/{name}", buildpack_registry::info)
        .open(Method::GET, "/buildpacks/{name}/readme", buildpack_registry::readme)
        .open(Method::GET, "/buildpacks/{name}/revisions", buildpack_registry::revisions)
        .stream(Method::GET, "/streams/logs/{token}", streams::log::read)
        .stream(Method::GET, "/streams/builds/{token}", streams::output::build)
        .stream(Method::GET, "/streams/releases/{token}", streams::output::release)
        .stream(Method::GET, "/streams/sources/{token}", streams::sources::get)
        .stream(Method::PUT, "/streams/sources/{token}", streams::sources::put)
}

/// The table as it is written down. Without a state it is only listed, not served.
struct Table<'a> {
    router: Router<Shared>,
    endpoints: Vec<Endpoint>,
    state: Option<&'a Shared>,
}

impl Table<'_> {
    fn token<H: Handler<T, Shared>, T: Passes + 'static>(self, method: Method, path: &'static str, handler: H) -> Self {
        self.guarded(method, path, Access::Token, handler)
    }

    fn token_or_password<H: Handler<T, Shared>, T: Passes + 'static>(
        self,
        method: Method,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.guarded(method, path, Access::TokenOrPassword, handler)
    }

    /// From the outside in: who calls and how often, then whether they have the answer already. Whether they may is the
    /// handler's own first argument.
    fn guarded<H: Handler<T, Shared>, T: Passes + 'static>(
        self,
        method: Method,
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self {
        let mut route = on(filter(&method), handler).route_layer(from_fn(etag::layer));
        if let Some(state) = self.state {
            route = route.route_layer(from_fn_with_state((Shared::clone(state), access), guard::layer));
        }
        self.with(Endpoint { method, path, access, action: Some(T::ACTION) }, route)
    }

    fn open<H: Handler<T, Shared>, T: 'static>(self, method: Method, path: &'static str, handler: H) -> Self {
        let route = on(filter(&method), handler).route_layer(from_fn(etag::layer));
        self.with(Endpoint { method, path, access: Access::Open, action: None }, route)
    }

    /// Like open, for answers that are not in memory.
    fn stream<H: Handler<T, Shared>, T: 'static>(self, method: Method, path: &'static str, handler: H) -> Self {
        let route = on(filter(&method), handler);
        self.with(Endpoint { method, path, access: Access::Open, action: None }, route)
    }

    fn with(mut self, endpoint: Endpoint, route: MethodRouter<Shared>) -> Self {
        self.router = self.router.route(endpoint.path, route);
        self.endpoints.push(endpoint);
        self
    }
}

/// The filter of exactly one method.
fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET)
}

/// What goes around everything; the last layer is the outermost. Each answer has its id, even that to a panic, and may
/// be read by any page; whoever sends is heard out; a HEAD is a GET to everything within; only then does the version
/// matter.
fn layered(router: Router<Shared>) -> Router<Shared> {
    router
        .layer(from_fn(accept::layer))
        .layer(from_fn(head::layer))
        .layer(from_fn(panic::layer))
        .layer(from_fn(to_the_end::layer))
        .layer(from_fn(cors::layer))
        .layer(from_fn(request_id::layer))
}
