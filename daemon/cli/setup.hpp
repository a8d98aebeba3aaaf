// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command_line.hpp"
#include "config/loader.hpp"
#include "config/summary.hpp"
#include "polling/plugin_directory.hpp"
#include "polling/work.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What most subcommands begin with: the installed plugins, and the configuration checked against them.
namespace things::cli {

/// The directories in which plugins lie: those named on the command line, else the build tree's if this
/// executable stands in one, else the installed one and the machine's own below /usr/local.
std::vector<std::filesystem::path> plugin_directories(const Common& common);
/// Where shipped profiles lie, by the same rule.
std::vector<std::filesystem::path> profile_directories(const std::filesystem::path& config);

/// What lies in them; nothing is loaded before it is asked for. Plugins outside the package's own directory
/// are asked in a process of their own, and run in one unless the source says `isolation: none`.
PluginDirectory find_plugins(const Common& common);
/// What every subcommand but `run` begins with: the same, and the log on stderr.
PluginDirectory installed_plugins(const Common& common);
/// Prints what was wrong with those that were asked for, as warnings on stderr.
void print_problems(const PluginDirectory& plugins);

/// With the environment of this process and these plugins, which must outlive the options.
LoadOptions load_options(const std::filesystem::path& file, PluginDirectory& plugins);

/// Loads and checks the configuration, plugins' own checks included, and collects the bus plans on the way.
/// `problems` is in the order of the files; `config` is there if none of them is an error.
struct Checked {
    std::optional<Config> config;
    std::vector<Problem> problems;
    std::vector<SourcePlan> plans;
};
/// What the secrets of devices are wanted for. Whoever does not send need not be able to read them.
/// `elsewhere`: this machine does not have them, nor those of plugins.
enum class Secrets : std::uint8_t { to_send, to_check, not_at_all, elsewhere };
/// How strict a check is, and where the main file's text comes from (LoadOptions). `overload`: what a source
/// that is asked for more than its line can carry is.
struct CheckRules {
    Severity overload = Severity::error;
    LoadOptions::Damage damage = LoadOptions::Damage::error;
    std::filesystem::path text_from = {};
};
/// Starts and ends each source's plugin to let it check its settings; no device is touched. Blocks for as
/// long as that takes.
Checked check_config(const std::filesystem::path& file, PluginDirectory& plugins, Secrets secrets,
                     const CheckRules& rules = {});

/// The same for a subcommand: problems are printed to stderr, an overload is only warned of; nothing
/// returned: exit with Exit::configuration.
std::optional<Config> load_config(const Common& common, PluginDirectory& plugins,
                                  Secrets secrets = Secrets::not_at_all);

/// For a subcommand that asks the running daemon: the same, but a configuration that is refused is no
/// hindrance as long as a daemon answers. It has then nothing but the socket, and the names of that daemon's
/// devices, points and sources.
std::optional<Config> load_for_daemon(const Common& common, PluginDirectory& plugins);

/// Finds a device, or prints the nearest name and returns null.
/// Valid as long as `config`.
const DeviceConfig* find_device(const Config& config, const std::string& name);

/// Wall time for people.
std::string local_time(std::int64_t ms);

} // namespace things::cli
