//! The product's promises, acted out with real clients on a real platform.

mod product {
    pub mod accounts;
    pub mod bad_input;
    pub mod beside;
    pub mod commands;
    pub mod connect;
    pub mod deploys;
    pub mod dynos;
    pub mod everyday;
    pub mod features;
    pub mod fixed_hosts;
    pub mod isolation;
    pub mod python;
    pub mod resources;
    pub mod retention;
    pub mod run;
    pub mod sharing;
    pub mod stacks;
    pub mod traffic;
    pub mod upgrade;
    pub mod webhooks;
}

use product::{
    accounts, bad_input, beside, commands, connect, deploys, dynos, everyday, features, fixed_hosts, isolation, python,
    resources, retention, run, sharing, stacks, traffic, upgrade, webhooks,
};

macro_rules! scenarios {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$(e2e::Scenario { name: concat!(stringify!($module), "::", stringify!($name)), act: $module::$name }),*]
    };
}

fn main() -> std::process::ExitCode {
    e2e::main(scenarios![
        commands::who_i_am,
        accounts::users_are_added_listed_and_removed_while_the_platform_runs,
        accounts::login_with_a_password_and_logout,
        accounts::login_through_the_browser_and_logout,
        accounts::login_with_a_second_factor,
        accounts::authorizations_are_made_shown_rotated_and_revoked,
        accounts::clients_are_made_shown_changed_and_destroyed,
        accounts::keys_are_added_listed_and_removed,
        accounts::no_secret_is_written_down,
        commands::an_app_is_created_listed_renamed_and_destroyed,
        commands::config_vars_are_set_read_and_unset,
        commands::buildpacks_are_set_added_removed_and_cleared,
        fixed_hosts::favorites_are_marked_listed_and_taken_away,
        fixed_hosts::who_was_let_in_is_told,
        fixed_hosts::errors_of_an_app_are_counted,
        fixed_hosts::no_other_tool_of_the_shell_is_led_to_us,
        sharing::a_collaborator_works_on_anothers_app,
        sharing::a_team_has_apps_members_and_permissions,
        sharing::an_app_changes_hands,
        deploys::an_app_without_dependencies_goes_live,
        commands::dynos_are_listed_scaled_and_restarted,
        commands::logs_tell_what_happened,
        commands::releases_are_listed_shown_and_rolled_back,
        commands::maintenance_goes_on_and_off,
        deploys::a_node_app_with_dependencies_and_a_worker,
        deploys::a_static_site,
        python::an_app_installed_by_pip,
        python::a_django_app_with_its_static_files,
        python::a_uv_workspace,
        deploys::two_custom_buildpacks,
        deploys::a_release_phase_passes_and_fails,
        deploys::a_failed_build_leaves_the_old_release,
        deploys::an_app_that_never_listens_leaves_the_old_release,
        deploys::another_branch_is_not_built,
        deploys::a_clone_has_what_was_pushed,
        run::a_command_runs_in_a_terminal,
        run::a_command_tells_how_it_ended,
        run::pipes_carry_everything,
        run::a_detached_dyno_is_seen_and_stopped,
        run::a_session_outlives_control,
        run::a_program_runs_inside_a_dyno,
        everyday::custom_domains_lead_to_the_app,
        everyday::what_there_is_is_listed,
        resources::an_app_is_looked_at_in_every_part,
        resources::dynos_are_looked_at_resized_and_ended,
        resources::what_is_on_offer_is_shown_one_by_one,
        resources::an_account_is_changed_and_deleted,
        resources::an_offered_app_is_looked_at_and_taken_back,
        resources::a_team_is_renamed_looked_at_and_deleted,
        resources::what_nobody_has_is_an_empty_list,
        resources::a_user_is_changed_keeps_preferences_and_goes,
        resources::a_team_invites_somebody_who_agrees,
        resources::many_apps_are_looked_at_at_once,
        resources::a_client_gets_tokens_and_loses_one,
        resources::a_build_is_cancelled,
        dynos::memory_beyond_the_size_is_told_and_far_beyond_it_is_the_end,
        features::dynos_are_told_what_they_are,
        features::without_preboot_the_old_web_stops_first,
        beside::an_app_is_opened_cloned_and_compared,
        beside::config_vars_are_edited,
        beside::a_release_phase_is_tried_again,
        beside::an_app_runs_at_home,
        beside::a_key_and_a_request_for_a_certificate_are_made,
        beside::many_accounts_are_kept_apart,
        beside::lists_of_what_there_is_not_are_empty,
        webhooks::what_happens_is_told,
        webhooks::nothing_near_is_told,
        traffic::an_app_is_reached_over_tls,
        connect::a_laptop_works_as_the_platforms_own_machine,
        connect::another_authority_is_refused,
        stacks::an_imported_stack_is_chosen_built_on_and_run_on,
        traffic::nothing_is_lost_while_the_app_changes,
        traffic::nothing_is_lost_while_roles_die,
        retention::disks_do_not_fill,
        isolation::a_dyno_finds_nothing,
        bad_input::clear_errors_and_nothing_lost,
        upgrade::an_upgrade_that_fails_changes_nothing,
        upgrade::an_upgrade_loses_nothing,
    ])
}
