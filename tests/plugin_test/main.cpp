// SPDX-License-Identifier: Apache-2.0
// things-plugin-test: makes every call of a plugin with good and bad arguments, for whoever writes one.
#include "cli/print.hpp"
#include "cli/setup.hpp"
#include "plugin_test/conformance.hpp"
#include "polling/plugin_host.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <string_view>

namespace things {

namespace {

/// The settings and points of `source` in the configuration. The plugin under test may not be installed, and
/// the configuration names it: so its folder is searched too.
std::optional<SourceWork> work_of(cli::Common common, const std::filesystem::path& file,
                                  const std::string& source) {
    common.plugin_dirs = cli::plugin_directories(common);
    common.plugin_dirs.push_back(std::filesystem::absolute(file).parent_path());
    PluginDirectory plugins = cli::installed_plugins(common);
    const std::optional<Config> config = cli::load_config(common, plugins);
    if (!config)
        return std::nullopt;
    std::vector<SourceWork> sources = make_work(*config).sources;
    const auto found = std::find_if(sources.begin(), sources.end(), [&source](const SourceWork& work) {
        return work.config.name == source && !work.points.empty();
    });
    if (found != sources.end())
        return std::move(*found);
    cli::print_line(stderr, "error: the configuration has no source \"{}\" with points", source);
    return std::nullopt;
}

int test(const cli::Common& common, const std::filesystem::path& file, const std::string& source) {
    SourceWork work; // without a source, settings are made up
    if (!source.empty()) {
        std::optional<SourceWork> found = work_of(common, file, source);
        if (!found)
            return cli::configuration;
        work = std::move(*found);
    }
    const bool passed = test_plugin(file, std::move(work), {}, [](const Finding& finding) {
        const char* grade = finding.grade == Finding::Grade::pass      ? "ok  "
                            : finding.grade == Finding::Grade::warning ? "warn"
                                                                       : "FAIL";
        cli::print_line("{} {}{}{}", grade, finding.what, finding.text.empty() ? "" : ": ", finding.text);
    });
    return passed ? cli::done : cli::failed;
}

} // namespace

} // namespace things

int main(int argc, char** argv) {
    // The plugin runs in a host process, which is this program again.
    if (argc > 1 && std::string_view(argv[1]) == "plugin-host")
        return things::run_plugin_host(argc - 1, argv + 1);
    CLI::App app("Exercises every entry of a gateway plugin with good and bad calls");
    things::cli::Common common;
    std::filesystem::path file;
    std::string source;
    app.add_option("FILE", file, "The plugin, a shared object")->required();
    app.add_option("SOURCE", source, "Source of the configuration to take settings and points from");
    app.add_option("--config", common.config, "The configuration")->capture_default_str();
    app.add_option("--plugin-dir", common.plugin_dirs, "Directory of plugins; may be repeated");
    try {
        app.parse(argc, argv);
        return things::test(common, file, source);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? 0 : things::cli::usage;
    } catch (const std::exception& e) {
        std::cerr << "error: " << e.what() << '\n';
        return things::cli::failed;
    }
}
