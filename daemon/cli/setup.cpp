// SPDX-License-Identifier: Apache-2.0
#include "cli/setup.hpp"
#include "cli/print.hpp"

#include "config/nearest.hpp"
#include "control/client.hpp"
#include "platform/log.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace things::cli {

namespace {

namespace fs = std::filesystem;

/// The root of the build tree in which this executable stands as daemon/kpn-things-gateway; empty if it is
/// installed.
fs::path build_tree() {
    std::error_code error;
    // Not argv[0], which the caller may choose.
    const fs::path self = fs::read_symlink("/proc/self/exe", error);
    const fs::path root = self.parent_path().parent_path();
    const bool built =
        self.parent_path().filename() == "daemon" && fs::exists(root / "CMakeCache.txt", error);
    return built ? root : fs::path();
}

/// The package's own plugins: only these run in this process unless the configuration says so.
fs::path shipped_plugins() {
    const fs::path tree = build_tree();
    return tree.empty() ? fs::path(THINGS_PLUGIN_DIR) : tree / "plugins";
}

/// The source's own setting, device's or point's setting that the plugin complains of, as a place in a file.
Place place_of(const SourceWork& work, const SettingProblem& problem) {
    const auto in = [&problem](const std::vector<Setting>& settings, const Place& fallback) {
        for (const Setting& setting : settings)
            if (setting.key == problem.key && setting.place.line > 0)
                return setting.place;
        return fallback;
    };
    if (problem.level == Level::point && problem.index < work.points.size())
        return in(work.points[problem.index].config.settings, work.points[problem.index].config.place);
    if (problem.level == Level::device && problem.index < work.devices.size())
        for (const SourcePoint& point : work.points)
            if (point.device == problem.index)
                return in(work.devices[problem.index].settings, point.config.place);
    return in(work.config.settings, work.config.place);
}

/// One line for people from one request of a plugin's plan.
std::string plan_line(simdjson::dom::object request) {
    std::string line;
    for (const auto [key, value] : request) {
        if (!line.empty())
            line += ", ";
        if (value.is_string())
            line += fmt::format("{} {}", key, std::string_view(value));
        else
            line += fmt::format("{} {}", key, simdjson::minify(value));
    }
    return line;
}

/// A plugin's plan: JSON objects, one a request, the last one about the source (things_plugin.h, plan).
SourcePlan read_plan(const std::string& source, const std::vector<std::string>& lines) {
    SourcePlan plan;
    plan.source = source;
    simdjson::dom::parser parser;
    for (const std::string& line : lines) {
        simdjson::dom::object object;
        if (parser.parse(line).get(object) != simdjson::SUCCESS)
            continue;
        double cycle = 0;
        // Only the line about the whole source has it.
        if (object["cycle_ms"].get(cycle) != simdjson::SUCCESS) {
            plan.lines.push_back(plan_line(object));
            plan.rows.push_back(simdjson::minify(object));
            continue;
        }
        plan.cycle_ms = cycle;
        if (object["load"].get(plan.load) != simdjson::SUCCESS)
            plan.load = 0;
        if (object["requests"].get(plan.requests) != simdjson::SUCCESS)
            plan.requests = 0;
    }
    return plan;
}

void check_sources(const Config& config, PluginDirectory& plugins, Severity overload, Checked& checked) {
    SourceOptions harmless;
    harmless.harmless_host = true; // settings are only looked at: whoever types this lends no rights
    for (const SourceWork& work : make_work(config).sources) {
        const auto library = plugins.find(work.config.plugin);
        // Told by the loader already, or nothing that could be wrong.
        if (!library || work.points.empty())
            continue;
        const Validation validation = validate(work, *library, harmless);
        for (const SettingProblem& problem : validation.problems)
            checked.problems.push_back({place_of(work, problem), Severity::error, problem.message});
        if (!validation.failure.empty()) // one plugin that crashes must not keep the others from starting
            checked.problems.push_back({work.config.place, Severity::warning,
                                        fmt::format("source \"{}\": {}; the others do not depend on it",
                                                    work.config.name, validation.failure)});
        checked.plans.push_back(read_plan(work.config.name, validation.plan));
        const SourcePlan& plan = checked.plans.back();
        if (plan.load > 1 && !work.config.allow_overload)
            checked.problems.push_back(
                {work.config.place, overload,
                 fmt::format("source \"{}\" is asked for {:.0f} % of what its line can carry ({} requests, "
                             "{:.0f} ms a "
                             "cycle): use longer intervals or a faster line, or say allow_overload: true",
                             work.config.name, plan.load * 100, plan.requests, plan.cycle_ms)});
    }
}

} // namespace

std::vector<fs::path> plugin_directories(const Common& common) {
    if (!common.plugin_dirs.empty())
        return common.plugin_dirs;
    if (!build_tree().empty())
        return {shipped_plugins()};
    return {shipped_plugins(), THINGS_LOCAL_PLUGIN_DIR};
}

std::vector<fs::path> profile_directories(const fs::path& config) {
    std::vector<fs::path> directories = system_load_options(config).profile_directories;
    if (const fs::path tree = build_tree(); !tree.empty())
        directories.back() = tree / "profiles";
    return directories;
}

PluginDirectory find_plugins(const Common& common) {
    return {plugin_directories(common), shipped_plugins(), {}};
}

PluginDirectory installed_plugins(const Common& common) {
    log::open(log::Level::warning); // to stderr: stdout is for results
    return find_plugins(common);
}

void print_problems(const PluginDirectory& plugins) {
    for (const std::string& problem : plugins.problems())
        print_line(stderr, "warning: {}", problem);
}

LoadOptions load_options(const fs::path& file, PluginDirectory& plugins) {
    LoadOptions options = system_load_options(file);
    options.profile_directories = profile_directories(file);
    options.find_plugin = [&plugins](const std::string& name) -> const PluginDescription* {
        const auto library = plugins.find(name);
        return library ? &library->description() : nullptr;
    };
    options.plugin_names = plugins.names();
    return options;
}

Checked check_config(const fs::path& file, PluginDirectory& plugins, Secrets secrets,
                     const CheckRules& rules) {
    LoadOptions options = load_options(file, plugins);
    options.read_secrets = secrets == Secrets::to_send || secrets == Secrets::to_check;
    options.look_for_secrets = secrets != Secrets::elsewhere;
    options.damage = rules.damage;
    options.text_from = rules.text_from;
    options.is_service = secrets == Secrets::to_send;
    Loaded loaded = load(file, options);
    Checked checked{std::move(loaded.config), std::move(loaded.problems), {}};
    if (checked.config) {
        check_sources(*checked.config, plugins, rules.overload, checked);
        const bool wrong = std::any_of(checked.problems.begin(), checked.problems.end(),
                                       [](const Problem& p) { return p.severity == Severity::error; });
        if (wrong)
            checked.config.reset();
    }
    return checked;
}

std::optional<Config> load_config(const Common& common, PluginDirectory& plugins, Secrets secrets) {
    // A technician looks around before the intervals are right.
    Checked checked = check_config(common.config, plugins, secrets, {Severity::warning});
    print_problems(plugins);
    for (const Problem& problem : checked.problems)
        print_line(stderr, "{}", problem.text());
    return std::move(checked.config);
}

namespace {

/// What the daemon says it runs with; none if nobody answers.
std::optional<Config> ask_names(const fs::path& socket) {
    const ControlAnswer answer = ask_daemon(socket, "status", "", seconds(10));
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    if (answer.status != ControlAnswer::Status::ok ||
        parser.parse(answer.result).get(root) != simdjson::SUCCESS)
        return std::nullopt;
    const auto text = [](simdjson::dom::element of, const char* key) {
        std::string_view value;
        return of[key].get(value) == simdjson::SUCCESS ? std::string(value) : std::string();
    };
    Config config;
    config.control_socket = socket;
    for (const simdjson::dom::element source : root["sources"].get_array()) {
        config.sources.emplace_back();
        config.sources.back().name = text(source, "name");
        config.sources.back().plugin = text(source, "plugin");
    }
    for (const simdjson::dom::element known : root["devices"].get_array()) {
        DeviceConfig device;
        device.name = text(known, "name");
        device.dvnuuid = text(known, "dvnuuid");
        for (const simdjson::dom::element point : known["points"].get_array()) {
            device.points.emplace_back();
            device.points.back().name = text(point, "name");
        }
        config.devices.push_back(std::move(device));
    }
    return config;
}

} // namespace

std::optional<Config> load_for_daemon(const Common& common, PluginDirectory& plugins) {
    Checked checked = check_config(common.config, plugins, Secrets::not_at_all, {Severity::warning});
    print_problems(plugins);
    if (!checked.config)
        checked.config = ask_names(find_control_socket(common.config));
    // Where the daemon goes on with an older configuration, its mistakes are the alarm's business.
    for (const Problem& problem : checked.problems)
        print_line(stderr, "{}", problem.text());
    return std::move(checked.config);
}

std::string local_time(std::int64_t ms) {
    const auto seconds = static_cast<std::time_t>(ms / 1000);
    std::tm parts{};
    localtime_r(&seconds, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    return text;
}

const DeviceConfig* find_device(const Config& config, const std::string& name) {
    std::vector<std::string_view> names;
    for (const DeviceConfig& device : config.devices) {
        if (device.name == name)
            return &device;
        names.push_back(device.name);
    }
    const std::string hint = nearest(name, names);
    print_line(stderr, "error: there is no device \"{}\"{}", name,
               hint.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", hint));
    return nullptr;
}

} // namespace things::cli
