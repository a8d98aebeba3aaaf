// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// The command line as plain values, and the subcommands that it may ask for, one file each. Results go to
// stdout, errors to stderr.
namespace things::cli {

/// Exit codes of every subcommand.
enum Exit { done = 0, failed = 1, usage = 64, unavailable = 69, configuration = 78 };

/// What every subcommand knows.
/// `json` asks for one document on stdout instead of text, where the subcommand has one.
struct Common {
    std::filesystem::path config = "/etc/kpn-things-gateway/gateway.yaml";
    std::vector<std::filesystem::path> plugin_dirs; ///< empty: the installed ones, or those of the build tree
    bool json = false;
};

// What each subcommand may be asked; the help texts of command_line.cpp say the same to the user.
/// `last_good`: with the configuration that was last accepted when the one on disk is refused.
struct RunOptions {
    bool last_good = false;
};
/// `print`: the merged configuration instead of the summary, secrets masked. `plan` and `points`: each
/// request and each point as well. `no_secrets` and `base`: for another machine, whose secrets are not here
/// and in whose folder relative names are meant.
struct CheckOptions {
    bool print = false;
    bool plan = false, points = false;
    bool no_secrets = false;
    std::filesystem::path base;
};
/// `senml`: prints the pack that these readings would make.
struct ReadOptions {
    std::string device;
    std::vector<std::string> points; ///< empty: all
    bool senml = false;
};
/// `value` as typed; see value_from_text of routing/values.hpp.
struct WriteOptions {
    std::string device, point, value;
};
/// `dry_run`: prints the pack and posts nothing.
struct SendOptions {
    std::string device;
    bool dry_run = false;
};
/// Of `unit`, `explain` and the range at most one way of scanning is asked for; what a plugin does with them
/// its README says.
struct ScanOptions {
    std::string source;
    int unit = -1;     ///< -1: look for unit ids
    std::string units; ///< range "1-247"; empty: the plugin's own
    std::vector<int> bauds;
    int explain = -1; ///< address; -1: none
    std::string table;
    int from = -1, to = -1, count = -1;
};
/// Which dead letters are meant: these ids, those of a device, or all.
struct LetterOptions {
    std::string device; ///< empty: all
    std::vector<std::uint64_t> ids;
    bool all = false;
};
/// `rescue`: also what can be carried over from a damaged file.
struct AdoptOptions {
    std::filesystem::path file;
    bool rescue = false;
};
/// `watch`: again every two seconds, until Ctrl-C.
struct StatusOptions {
    bool watch = false;
};
struct CommandsOptions {
    std::string device;
    int most = 50;
};
/// `names` go before prefix and count. `portal` is the CSV with the secrets, for registering the devices.
struct ProvisionOptions {
    int count = 1;
    int first = 1;
    int unit_id = 0;                 ///< of the first device; 0: none
    std::filesystem::path directory; ///< empty: secrets/ beside the configuration
    std::filesystem::path portal;    ///< empty: none is written
    std::string prefix = "device";
    std::vector<std::string> names;
    std::string format = "yaml";
    std::string source, profile;
};

// Each prints its result and returns one of `Exit`; mistakes of the configuration are printed and give
// `configuration`. `read`, `write`, `scan`, `send` and `queue` ask the running daemon through its control
// socket and open bus or queue themselves where none runs.
/// Returns when the daemon has ended: `done` after a signal, `failed` if it ended by itself or could not
/// start.
int run_daemon(const Common& common, const RunOptions& options);
int check(const Common& common, const CheckOptions& options);
int read(const Common& common, const ReadOptions& options);
int write(const Common& common, const WriteOptions& options);
int send(const Common& common, const SendOptions& options);
int scan(const Common& common, const ScanOptions& options);
int queue_list(const Common& common);
int queue_show(const Common& common, const LetterOptions& options);
int queue_retry(const Common& common, const LetterOptions& options);
int queue_drop(const Common& common, const LetterOptions& options);
int queue_adopt(const Common& common, const AdoptOptions& options);
int status(const Common& common, const StatusOptions& options);
int commands_list(const Common& common, const CommandsOptions& options);
int plugins_list(const Common& common);
int plugins_show(const Common& common, const std::string& name);
int profiles_list(const Common& common, const std::vector<std::string>& words);
int profiles_show(const Common& common, const std::string& name);
int provision(const Common& common, const ProvisionOptions& options);
int schema(const Common& common);
/// Parses the command line, runs one subcommand and returns its exit code. Throws nothing.
int run(int argc, char** argv);

} // namespace things::cli
