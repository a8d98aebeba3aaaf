// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"
#include "config/problem.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Reads the configuration: the main file, what it includes, profiles, fleets as CSV, secrets. Everything is
// checked against the tables in keys.hpp and against what the plugins say of their own keys. Reads files,
// touches nothing else; the same input gives the same result. Any input ends in values or in problems.
namespace things {

/// What the loader asks its caller. Everything may be left out but `find_plugin`.
struct LoadOptions {
    /// The description of an installed plugin; null: there is none of that name.
    std::function<const PluginDescription*(const std::string& name)> find_plugin;
    /// Names of the installed plugins, for hints.
    std::vector<std::string> plugin_names;
    /// Where profiles lie as NAME.yaml; the first directory that has one wins, `profiles:` win over all.
    std::vector<std::filesystem::path> profile_directories;
    /// A variable of the environment; null: there is none (then `secret: {env: ...}` is an error).
    std::function<std::optional<std::string>(const std::string& name)> environment;
    /// $CREDENTIALS_DIRECTORY of systemd, or where the running service has its own; empty: none.
    std::filesystem::path credentials_directory;
    /// False: the secrets of devices are not read, they get a stand-in: for whoever does not send.
    bool read_secrets = true;
    /// False: a credential or variable that is not there is only warned of, since the service may see it.
    bool is_service = true;
    /// False: no secret is looked for, those of plugins are left out: for a machine that does not have them.
    bool look_for_secrets = true;
    /// Where the main file's text is read from, if not from the file whose name and folder it has: another
    /// file, or
    /// "-" for standard input.
    std::filesystem::path text_from;
    /// What an included file is that a power cut left empty or full of NULs. `error`: NULs are one, nothing
    /// at all is just empty, as a person may have left it. `at_start`: both are errors, so that an older
    /// configuration is looked for. `leave_out`: there is none, so such a file costs its own devices, with a
    /// warning.
    enum class Damage : std::uint8_t { error, at_start, leave_out };
    Damage damage = Damage::error;
};

/// Options with the environment of this process; `find_plugin` and `plugin_names` are left to the caller.
/// Profile directories: `profiles/` beside the main file, then the installed one.
LoadOptions system_load_options(const std::filesystem::path& file);

/// What came of it. `config` is there if no problem is an error; warnings may be there beside it.
/// Problems are in the order of the files, then of the lines, at most 5,000 errors and as many
/// warnings.
struct Loaded {
    std::optional<Config> config;
    std::vector<Problem> problems;
};

/// Where the daemon that runs with FILE listens, as far as that can be told: also when the file is refused,
/// cannot be read, or is no YAML. Else the default.
std::filesystem::path find_control_socket(const std::filesystem::path& file);

/// Loads FILE. Does not throw.
/// Blocks for the disk. Secrets are read with it, unless `read_secrets` is false. A slip in a name is an
/// error, and the rest is checked as if it were right, so that one run shows all mistakes.
Loaded load(const std::filesystem::path& file, const LoadOptions& options);

} // namespace things
