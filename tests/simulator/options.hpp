// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "simulator/authority.hpp"
#include "simulator/platform.hpp"

#include <string>
#include <variant>
#include <vector>

// The simulator's command line.
namespace things::simulator {

struct DeviceEntry {
    std::string id, secret, name;
};

struct Options {
    PlatformOptions platform;
    std::string address = "127.0.0.1";
    std::string host; // one more name in the certificate
    unsigned short port = 0;
    unsigned short control_port = 0;
    std::string port_file, control_port_file, ready_file, ca_out, store;
    Flaw flaw = Flaw::none;
    std::vector<DeviceEntry> devices;
};

/// Parses argv; or the exit code, after printing help or the mistake. Throws std::runtime_error if a file of
/// devices cannot be read.
std::variant<Options, int> parse_options(int argc, char** argv);

/// Devices from JSON ([{"dvnuuid":..,"secret":..,"name":..}], or {"devices":[..]}) or CSV
/// (dvnuuid,secret[,name]; a first row that names the columns may put them in any order). Throws
/// std::runtime_error that says what is wrong.
std::vector<DeviceEntry> parse_devices(const std::string& text);

} // namespace things::simulator
