//! The HTTP interface, one file an endpoint.

mod caller;
mod change_password;
mod change_user;
mod end_session;
mod guess;
mod jwks;
mod list_sessions;
mod list_users;
mod login;
mod logout;
mod logout_all;
mod me;
mod refresh;
mod register;
mod token_response;
mod user_view;

use actix_web::web::{self, Data, ServiceConfig};
use chassis::docs::{BearerToken, OwnProblems};
use chassis::problem::Code;
use utoipa::OpenApi;

use crate::app::State;

/// The interface, documented.
#[derive(OpenApi)]
#[openapi(
    info(title = "Quadrille auth", description = "Accounts, logins and access tokens"),
    paths(
        register::register,
        login::login,
        refresh::refresh,
        logout::logout,
        logout_all::logout_all,
        me::me,
        change_password::change_password,
        list_sessions::list_sessions,
        end_session::end_session,
        list_users::list_users,
        change_user::change_user,
        jwks::jwks,
    ),
    modifiers(&BearerToken),
    tags((name = "auth", description = "Accounts and logins"), (name = "users", description = "For admins")),
)]
pub(crate) struct Documentation;

/// Problems that do not follow from what an operation takes.
pub(crate) const PROBLEMS: OwnProblems<'static> = &[
    ("register", &[Code::EmailTaken]),
    ("login", &[Code::InvalidCredentials]),
    ("refresh", &[Code::InvalidRefreshToken]),
    ("list_users", &[Code::Forbidden]),
    ("change_user", &[Code::Forbidden, Code::Conflict]),
];

/// Registers the routes of one worker.
pub(crate) fn configure(config: &mut ServiceConfig, state: &State) {
    config
        .app_data(Data::new(state.clone()))
        .service(web::resource("/auth/register").route(web::post().to(register::register)))
        .service(web::resource("/auth/login").route(web::post().to(login::login)))
        .service(web::resource("/auth/refresh").route(web::post().to(refresh::refresh)))
        .service(web::resource("/auth/logout").route(web::post().to(logout::logout)))
        .service(web::resource("/auth/logout-all").route(web::post().to(logout_all::logout_all)))
        .service(web::resource("/auth/password").route(web::put().to(change_password::change_password)))
        .service(web::resource("/auth/sessions").route(web::get().to(list_sessions::list_sessions)))
        .service(web::resource("/auth/sessions/{id}").route(web::delete().to(end_session::end_session)))
        .service(web::resource("/auth/me").route(web::get().to(me::me)))
        .service(web::resource("/auth/users").route(web::get().to(list_users::list_users)))
        .service(web::resource("/auth/users/{id}").route(web::patch().to(change_user::change_user)))
        .service(web::resource("/.well-known/jwks.json").route(web::get().to(jwks::jwks)));
}
