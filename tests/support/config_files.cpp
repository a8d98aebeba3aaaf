// SPDX-License-Identifier: Apache-2.0
#include "support/config_files.hpp"

#include "support/plugin_keys.hpp"

#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace things {

const std::string device_head = R"(sources:
  plc: {plugin: modbus, host: 192.0.2.20}
devices:
  - name: boiler
    dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40
    secret: abcdefghijklmnopqrstuvwxyzABCD
    source: plc
    unit_id: 1
)";

ConfigFiles::ConfigFiles() {
    std::string pattern = (std::filesystem::temp_directory_path() / "things-config-XXXXXX").string();
    if (!::mkdtemp(pattern.data()))
        throw std::runtime_error("no temporary folder");
    folder_ = pattern;
    options.find_plugin = find_test_plugin;
    options.plugin_names = test_plugin_names();
    options.profile_directories = {folder_ / "profiles"};
    options.environment = [this](const std::string& name) -> std::optional<std::string> {
        const auto found = environment.find(name);
        return found == environment.end() ? std::nullopt : std::optional<std::string>(found->second);
    };
}

ConfigFiles::~ConfigFiles() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

std::filesystem::path ConfigFiles::write(const std::string& name, const std::string& text,
                                         unsigned mode) const {
    const std::filesystem::path file = folder_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    std::filesystem::permissions(file, static_cast<std::filesystem::perms>(mode));
    return file;
}

Loaded ConfigFiles::load(const std::string& yaml) {
    return things::load(write("gateway.yaml", yaml), options);
}

std::string ConfigFiles::problems(const Loaded& loaded) const {
    std::string all;
    for (const Problem& problem : loaded.problems)
        all += problem.text() + "\n";
    const std::string prefix = folder_.string() + "/";
    for (std::size_t at = all.find(prefix); at != std::string::npos; at = all.find(prefix))
        all.erase(at, prefix.size());
    return all;
}

} // namespace things
