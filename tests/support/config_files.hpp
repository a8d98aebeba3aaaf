// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/loader.hpp"

#include <filesystem>
#include <map>
#include <string>

// A folder of configuration files that goes away with the test, and a load of one of them.
namespace things {

class ConfigFiles {
public:
    ConfigFiles();
    ~ConfigFiles();
    ConfigFiles(const ConfigFiles&) = delete;
    ConfigFiles& operator=(const ConfigFiles&) = delete;

    /// Writes a file below the folder; folders are made. Mode 0600.
    std::filesystem::path write(const std::string& name, const std::string& text, unsigned mode = 0600) const;
    /// Writes gateway.yaml and loads it with the test plugins.
    Loaded load(const std::string& yaml);
    /// All problems as text, the folder's path left out.
    [[nodiscard]] std::string problems(const Loaded& loaded) const;

    [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
    LoadOptions options;
    std::map<std::string, std::string> environment;

private:
    std::filesystem::path folder_;
};

/// Two sources (plc: modbus, fake: simulated) and the beginning of a device on plc up to `points:`.
extern const std::string device_head;

} // namespace things
