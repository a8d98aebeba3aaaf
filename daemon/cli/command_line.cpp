// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.hpp"

#include "cli/completion.hpp"
#include "config/nearest.hpp"
#include "platform/held_signals.hpp"
#include "polling/plugin_host.hpp"

#include <CLI/CLI.hpp>

#include <exception>
#include <functional>
#include <iostream>
#include <string_view>
#include <utility>

namespace things::cli {

namespace {

/// The words of the mistake; empty if there is none.
std::string check_range(const std::string& text) {
    const auto dash = text.find('-');
    const auto is_number = [](const std::string& part) {
        return !part.empty() && part.size() <= 3 && part.find_first_not_of("0123456789") == std::string::npos;
    };
    const bool is_range = dash == std::string::npos
                              ? is_number(text)
                              : is_number(text.substr(0, dash)) && is_number(text.substr(dash + 1));
    return is_range ? std::string() : '"' + text + "\" is no range of unit ids such as 1-32";
}

/// CLI11 says only that a subcommand is required, not which word is none. True if there was such a word.
bool tell_unknown_word(CLI::App& app) {
    for (CLI::App* chosen : app.get_subcommands())
        if (tell_unknown_word(*chosen))
            return true;
    const std::vector<std::string> rest = app.remaining();
    if (app.get_require_subcommand_min() == 0 || !app.get_subcommands().empty() || rest.empty())
        return false;
    std::vector<std::string> names;
    for (const CLI::App* known : app.get_subcommands([](const CLI::App*) { return true; }))
        names.push_back(known->get_name());
    std::cerr << "error: there is no command \"" << rest.front() << '"' << hint(rest.front(), names) << '\n';
    return true;
}

/// Builds the tree of subcommands. Options live as long as this object; the chosen subcommand is kept in
/// `action_`.
class CommandLine {
public:
    CommandLine() {
        app_.set_version_flag("--version", "kpn-things-gateway " THINGS_VERSION);
        app_.add_option("--config", common_.config, "Configuration file")->capture_default_str();
        app_.add_option("--plugin-dir", common_.plugin_dirs, "Directory of plugins; may be repeated")
            ->allow_extra_args(false);
        app_.require_subcommand(1);
        // --config may stand behind the subcommand, where people put it.
        app_.fallthrough();
        app_.footer("Exit codes: 0 done, 1 failed, 64 usage, 69 device or platform did not answer, "
                    "78 configuration.");
        add_daemon();
        add_commissioning();
        add_scan();
        add_queue();
        add_watching();
        add_plugins();
        add_provision();
    }

    /// `complete -- WORD..`, for shells.
    int complete_words(int argc, char** argv) {
        std::vector<std::string> words(argv + 2, argv + argc);
        if (!words.empty() && words.front() == "--")
            words.erase(words.begin());
        complete(app_, words);
        return done;
    }

    int parse(int argc, char** argv) {
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError& e) {
            if (tell_unknown_word(app_))
                return usage;
            const int code = app_.exit(e, std::cout, std::cerr);
            // CLI11 has codes of its own for each kind of mistake; --help and --version are 0.
            return code == 0 ? done : usage;
        }
        // The daemon takes them when its loop is there to handle them.
        if (!app_.got_subcommand("run"))
            release_signals();
        return action_();
    }

private:
    /// A subcommand that runs `action` when it was chosen.
    CLI::App* add(CLI::App& parent, const std::string& name, const std::string& help,
                  std::function<int()> action) {
        CLI::App* sub = parent.add_subcommand(name, help);
        sub->callback([this, sub, action = std::move(action)] {
            if (sub->get_subcommands().empty()) // CLI11 runs a parent's callback after its children's
                action_ = action;
        });
        return sub;
    }
    void add_json(CLI::App* sub) { sub->add_flag("--json", common_.json, "JSON on standard output"); }

    void add_daemon() {
        CLI::App* sub =
            add(app_, "run", "The daemon, in the foreground", [this] { return run_daemon(common_, run_); });
        sub->add_flag("--last-good", run_.last_good,
                      "When the configuration is refused, start with the one last accepted");
        sub = add(app_, "check", "Validate the configuration; print a summary",
                  [this] { return check(common_, check_); });
        sub->add_flag("--print", check_.print, "Print the merged configuration, secrets masked");
        sub->add_flag("--plan", check_.plan, "List the requests of each source");
        sub->add_flag("--points", check_.points, "List the points of each device");
        sub->add_flag("--no-secrets", check_.no_secrets, "Look for no secret: this is not the gateway");
        sub->add_option("--base", check_.base, "Folder that relative names in the main file are meant from");
        add_json(sub);
        add(app_, "schema", "JSON Schema of the configuration, for editors",
            [this] { return schema(common_); });
    }

    void add_commissioning() {
        CLI::App* sub =
            add(app_, "read", "Take one reading of each point", [this] { return read(common_, read_); });
        sub->add_option("DEVICE", read_.device)->required();
        sub->add_option("POINT", read_.points, "All points if none is named");
        sub->add_flag("--senml", read_.senml, "Print the pack that would be sent");
        add_json(sub);
        sub = add(app_, "write", "Write a point, with the same checks and by the same path as a downlink",
                  [this] { return write(common_, write_); });
        sub->add_option("DEVICE", write_.device)->required();
        sub->add_option("POINT", write_.point)->required();
        sub->add_option("VALUE", write_.value)->required();
        add_json(sub);
        sub = add(app_, "send", "One reading, one pack, one post; explain the answer",
                  [this] { return send(common_, send_); });
        sub->add_option("DEVICE", send_.device)->required();
        sub->add_flag("--dry-run", send_.dry_run, "Show the request, send nothing");
        add_json(sub);
    }

    void add_scan() {
        CLI::App* sub = add(app_, "scan", "Which unit ids answer on a source, and what they hold",
                            [this] { return scan(common_, scan_); });
        sub->add_option("SOURCE", scan_.source)->required();
        sub->add_option("--unit", scan_.unit, "Look which registers this unit has")
            ->check(CLI::Range(0, 255));
        sub->add_option("--units", scan_.units, "Range of unit ids to try, as 1-32")
            ->check(CLI::Validator(check_range, "FROM-TO"));
        sub->add_option("--baud", scan_.bauds, "Try these baud rates in place of the source's")
            ->delimiter(',');
        sub->add_option("--explain", scan_.explain,
                        "Show the words at this address under every type and order")
            ->check(CLI::Range(0, 65535));
        sub->add_option("--table", scan_.table, "Which table")
            ->check(CLI::IsMember({"coil", "discrete", "holding", "input"}));
        sub->add_option("--from", scan_.from, "First address")->check(CLI::Range(0, 65535));
        sub->add_option("--to", scan_.to, "Last address")->check(CLI::Range(0, 65535));
        sub->add_option("--count", scan_.count, "How many registers to explain")->check(CLI::Range(1, 125));
        add_json(sub);
    }

    void add_queue() {
        CLI::App* queue =
            app_.add_subcommand("queue", "Backlog, parked devices, dead letters, files set aside");
        queue->require_subcommand(1);
        add_json(add(*queue, "list", "What waits for each device", [this] { return queue_list(common_); }));
        CLI::App* sub =
            add(*queue, "show", "The dead letters", [this] { return queue_show(common_, queue_); });
        sub->add_option("DEVICE", queue_.device);
        add_json(sub);
        sub = add(*queue, "retry", "Put dead letters back, or try a parked device at once",
                  [this] { return queue_retry(common_, queue_); });
        add_letters(sub);
        sub = add(*queue, "drop", "Give up dead letters", [this] { return queue_drop(common_, queue_); });
        add_letters(sub);
        sub = add(*queue, "adopt", "Take in what waits in another queue's file, once",
                  [this] { return queue_adopt(common_, adopt_); });
        sub->add_option("FILE", adopt_.file, "One that was set aside, a backup, or another machine's")
            ->required();
        sub->add_flag("--rescue", adopt_.rescue, "Of a damaged file what can be carried over");
        add_json(sub);
    }
    void add_letters(CLI::App* sub) {
        sub->add_option("--device", queue_.device, "All of this device");
        sub->add_option("ID", queue_.ids, "Dead letters, as `queue show` numbers them");
        sub->add_flag("--all", queue_.all, "All dead letters");
        add_json(sub);
    }

    void add_watching() {
        CLI::App* sub = add(app_, "status", "The running daemon: devices, values, uploads, backlog, alarms",
                            [this] { return status(common_, status_); });
        sub->add_flag("--watch", status_.watch, "Refresh until Ctrl-C");
        add_json(sub);
        CLI::App* commands =
            app_.add_subcommand("commands", "What was asked of the devices, and what became of it");
        commands->require_subcommand(1);
        sub = add(*commands, "list", "Newest first", [this] { return commands_list(common_, commands_); });
        sub->add_option("DEVICE", commands_.device);
        sub->add_option("--most", commands_.most, "How many")
            ->check(CLI::Range(1, 100000))
            ->capture_default_str();
        add_json(sub);
    }

    void add_plugins() {
        CLI::App* plugins =
            add(app_, "plugins", "What is installed", [this] { return plugins_list(common_); });
        add_json(plugins);
        add_json(add(*plugins, "list", "What is installed", [this] { return plugins_list(common_); }));
        CLI::App* sub =
            add(*plugins, "show", "The keys of one plugin", [this] { return plugins_show(common_, name_); });
        sub->add_option("NAME", name_)->required();
        add_json(sub);
        CLI::App* profiles = add(app_, "profiles", "Shipped and local profiles",
                                 [this] { return profiles_list(common_, words_); });
        add_json(profiles);
        sub = add(*profiles, "list", "Names and products", [this] { return profiles_list(common_, words_); });
        sub->add_option("WORD", words_,
                        "Only those with this word in name, maker, product, category or models");
        add_json(sub);
        sub = add(*profiles, "show", "One profile whole", [this] { return profiles_show(common_, name_); });
        sub->add_option("NAME", name_)->required();
    }

    void add_provision() {
        CLI::App* sub = add(app_, "provision", "New DvnUUIDs and secrets for devices",
                            [this] { return provision(common_, provision_); });
        sub->add_option("COUNT,--count", provision_.count, "How many devices")
            ->check(CLI::Range(1, 10000))
            ->capture_default_str();
        sub->add_option("--directory", provision_.directory,
                        "Where the secret files go; secrets/ beside the configuration if left out");
        sub->add_option("--prefix", provision_.prefix, "Devices are called PREFIX-1, PREFIX-2 ...")
            ->capture_default_str();
        sub->add_option("--first", provision_.first, "Number of the first one")
            ->check(CLI::Range(1, 1'000'000));
        sub->add_option("--names", provision_.names, "Names instead of prefix and count")->delimiter(',');
        sub->add_option("--format", provision_.format, "Rows for the configuration")
            ->check(CLI::IsMember({"yaml", "csv"}))
            ->capture_default_str();
        sub->add_option("--source", provision_.source, "Source to name in the rows");
        sub->add_option("--profile", provision_.profile, "Profile to name in the rows");
        sub->add_option("--unit-id", provision_.unit_id, "Modbus unit id of the first device; counts up")
            ->check(CLI::Range(1, 247));
        sub->add_option("--portal", provision_.portal,
                        "Also write a CSV to register the devices in the Portal");
        add_json(sub);
    }

    CLI::App app_{"KPN Things gateway: connects local sensors to KPN Things", "kpn-things-gateway"};
    std::function<int()> action_ = [] {
        return usage;
    };
    Common common_;
    RunOptions run_;
    CheckOptions check_;
    ReadOptions read_;
    WriteOptions write_;
    SendOptions send_;
    ScanOptions scan_;
    LetterOptions queue_;
    AdoptOptions adopt_;
    StatusOptions status_;
    CommandsOptions commands_;
    ProvisionOptions provision_;
    std::string name_;
    std::vector<std::string> words_;
};

} // namespace

int run(int argc, char** argv) {
    hold_signals();
    if (argc > 1 &&
        std::string_view(argv[1]) == "plugin-host") { // an isolated source's own process; not for people
        release_signals();
        return run_plugin_host(argc - 1, argv + 1);
    }
    try {
        if (argc > 1 && std::string_view(argv[1]) == "complete")
            return CommandLine().complete_words(argc, argv);
        return CommandLine().parse(argc, argv);
    } catch (const std::exception& e) {
        std::cerr << "error: " << e.what() << '\n';
        return failed;
    }
}

} // namespace things::cli
