// SPDX-License-Identifier: Apache-2.0
#include "config/provision.hpp"

#include "cli/command_line.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <exception>

namespace things::cli {

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
            write_private_file(options.portal, portal_csv(devices));
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
