// SPDX-License-Identifier: Apache-2.0
#include "simulator/options.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace things::simulator {
namespace {

std::string read_file(const std::string& path) {
    const std::ifstream file(path);
    if (!file)
        throw std::runtime_error("cannot read " + path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::vector<std::string> split(const std::string& line) {
    std::vector<std::string> cells;
    std::istringstream stream(line);
    for (std::string cell; std::getline(stream, cell, ',');) {
        cell.erase(0, cell.find_first_not_of(" \t\r"));
        cell.erase(cell.find_last_not_of(" \t\r") + 1);
        cells.push_back(cell);
    }
    return cells;
}

std::vector<DeviceEntry> parse_csv(const std::string& text) {
    std::vector<DeviceEntry> devices;
    std::vector<std::string> columns = {"dvnuuid", "secret", "name"};
    std::istringstream stream(text);
    bool is_first = true;
    for (std::string line; std::getline(stream, line); is_first = false) {
        const auto cells = split(line);
        if (cells.empty() || cells[0].empty() || cells[0][0] == '#')
            continue;
        if (is_first && std::find(cells.begin(), cells.end(), "secret") != cells.end()) {
            columns = cells;
            continue;
        }
        DeviceEntry device;
        for (std::size_t i = 0; i < std::min(cells.size(), columns.size()); ++i) {
            if (columns[i] == "dvnuuid" || columns[i] == "id")
                device.id = cells[i];
            else if (columns[i] == "secret")
                device.secret = cells[i];
            else if (columns[i] == "name")
                device.name = cells[i];
        }
        devices.push_back(device);
    }
    return devices;
}

std::vector<DeviceEntry> parse_json(const std::string& text) {
    const auto document = nlohmann::json::parse(text, nullptr, false);
    if (document.is_discarded())
        throw std::runtime_error("the devices are not JSON");
    const auto& list = document.is_object() ? document.value("devices", nlohmann::json::array()) : document;
    std::vector<DeviceEntry> devices;
    for (const auto& entry : list) {
        if (!entry.is_object())
            throw std::runtime_error("a device is not an object");
        devices.push_back({entry.value("dvnuuid", entry.value("id", std::string())),
                           entry.value("secret", std::string()), entry.value("name", std::string())});
    }
    return devices;
}

DeviceEntry parse_device(const std::string& text) {
    const auto equals = text.find('=');
    if (equals == text.npos || equals == 0 || equals + 1 == text.size())
        throw CLI::ValidationError("--device", "is DVNUUID=SECRET");
    return {text.substr(0, equals), text.substr(equals + 1), ""};
}

const std::map<std::string, Flaw> flaws = {{"none", Flaw::none},
                                           {"expired", Flaw::expired},
                                           {"not-yet-valid", Flaw::not_yet_valid},
                                           {"other-host", Flaw::other_host},
                                           {"self-signed", Flaw::self_signed}};

} // namespace

std::vector<DeviceEntry> parse_devices(const std::string& text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    const bool is_json = first != text.npos && (text[first] == '[' || text[first] == '{');
    auto devices = is_json ? parse_json(text) : parse_csv(text);
    for (const auto& device : devices)
        if (device.id.empty() || device.secret.empty())
            throw std::runtime_error("a device has no dvnuuid or no secret");
    return devices;
}

std::variant<Options, int> parse_options(int argc, char** argv) {
    Options options;
    std::vector<std::string> devices, files;
    bool is_rfc = false;
    CLI::App app{"A local stand-in for KPN Things: HTTPS with its own certificate authority, the token "
                 "check, a strict\n"
                 "SenML check, downlinks, and faults on demand. Point the gateway at it with\n"
                 "  things: {url: https://127.0.0.1:PORT/ingestion/ip/senml/v1, ca_file: ca.pem}\n"
                 "See what it accepted with  curl http://127.0.0.1:CONTROL/accepted",
                 "things-simulator"};
    app.add_option("--device", devices, "DVNUUID=SECRET of a device; may be repeated")
        ->allow_extra_args(false);
    app.add_option("--devices", files, "file with devices: JSON or CSV (dvnuuid,secret,name)")
        ->allow_extra_args(false);
    app.add_option("--address", options.address, "address to listen on")->capture_default_str();
    app.add_option("--host", options.host, "one more name or address the certificate is good for");
    app.add_option("--port", options.port, "port of the platform; 0: any")->capture_default_str();
    app.add_option("--control-port", options.control_port, "port of the control interface; 0: any")
        ->capture_default_str();
    app.add_option("--port-file", options.port_file, "write the platform's port here");
    app.add_option("--control-port-file", options.control_port_file, "write the control port here");
    app.add_option("--ready-file", options.ready_file, "create this file once both ports listen");
    app.add_option("--ca-out", options.ca_out,
                   "write the authority's certificate here (PEM), for the gateway's ca_file");
    app.add_option("--certificate", options.flaw, "what is wrong with the certificate")
        ->transform(CLI::CheckedTransformer(flaws));
    app.add_option("--keep", options.platform.keep, "accepted readings to keep in memory")
        ->capture_default_str();
    app.add_option("--store", options.store,
                   "append every accepted reading to this file, one tab-separated line each");
    app.add_option("--max-body", options.platform.max_body, "answer 413 above this many bytes")
        ->capture_default_str();
    app.add_option("--oldest", options.platform.rules.oldest, "oldest time of a reading, seconds since 1970");
    app.add_option("--ahead", options.platform.rules.ahead, "seconds a reading may lie in the future")
        ->capture_default_str();
    app.add_flag("--rfc", is_rfc, "accept all of RFC 8428, not only the subset KPN documents");
    app.add_flag("--refuse-white-space", options.platform.refuses_white_space,
                 "answer 400 to white space in a body");
    app.add_flag("--verbose", options.platform.is_verbose, "one line for each pack and each downlink");
    try {
        app.parse(argc, argv);
        for (const auto& device : devices)
            options.devices.push_back(parse_device(device));
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 64;
    }
    if (is_rfc)
        options.platform.rules.dialect = Dialect::rfc;
    for (const auto& file : files)
        for (auto& device : parse_devices(read_file(file)))
            options.devices.push_back(std::move(device));
    return options;
}

} // namespace things::simulator
