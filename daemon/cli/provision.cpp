// SPDX-License-Identifier: Apache-2.0
#include "config/provision.hpp"

#include "cli/command_line.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <system_error>
#include <vector>

namespace things::cli {

namespace {

/// Secrets that are in no table could be registered nowhere, and would be in the way of the next attempt.
void write_portal(const std::filesystem::path& file, const std::vector<Provisioned>& devices) {
    try {
        write_private_file(file, portal_csv(devices));
    } catch (const std::exception&) {
        std::error_code ignored; // what went wrong first is what is told
        for (const Provisioned& device : devices)
            std::filesystem::remove(device.secret_file, ignored);
        throw;
    }
}

} // namespace

int provision(const Common& common, const ProvisionOptions& options) {
    ProvisionRequest request;
    request.count = static_cast<std::size_t>(options.count);
    request.prefix = options.prefix;
    request.first = static_cast<std::size_t>(options.first);
    request.names = options.names;
    // Secret files stand beside the configuration, whatever the working directory.
    const std::filesystem::path folder = std::filesystem::absolute(common.config).parent_path();
    request.beside = folder;
    request.directory = options.directory.empty() ? folder / "secrets" : options.directory;
    request.source = options.source;
    request.profile = options.profile;
    request.first_unit_id = options.unit_id;
    try {
        const std::vector<Provisioned> devices = things::provision(request, system_random);
        if (!options.portal.empty())
            write_portal(options.portal, devices);
        fmt::print("{}", options.format == "csv" ? provision_csv(request, devices)
                                                 : provision_yaml(request, devices));
        fmt::print(stderr, "{} secret files in {}{}\n", devices.size(), request.directory.string(),
                   options.portal.empty()
                       ? std::string("; register the devices in the Portal with their DvnUUID "
                                     "and secret, or use --portal FILE for a CSV of both")
                       : "; to register in the Portal: " + options.portal.string());
    } catch (const std::exception& e) {
        fmt::print(stderr, "error: {}\n", e.what());
        return failed;
    }
    return done;
}

} // namespace things::cli
