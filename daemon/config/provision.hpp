// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

// `provision`: identities for new devices. Secrets come from the kernel's generator, go into files that only
// their owner can read, and are never printed but into the CSV for the Portal. Nothing is ever overwritten.
namespace things {

/// Fills the bytes from a cryptographic source, or throws std::runtime_error.
/// An argument, so that a test gets the same identities each time.
using RandomBytes = std::function<void(std::span<unsigned char>)>;
/// getrandom(2).
void system_random(std::span<unsigned char> bytes);

/// A version 4 UUID in lower case.
std::string make_dvnuuid(const RandomBytes& random);
/// 64 characters of 0-9 a-z A-Z, each equally likely: 381 bits.
Secret make_secret(const RandomBytes& random);

/// One new device.
struct Provisioned {
    std::string name;
    std::string dvnuuid;
    Secret secret;
    std::filesystem::path secret_file;
};

/// 1 to 100,000 devices; names must be plain (names.hpp), else std::runtime_error.
struct ProvisionRequest {
    std::size_t count = 1;
    std::string prefix = "device"; ///< names are PREFIX-1, PREFIX-2 ... with leading zeros
    std::size_t first = 1;
    std::vector<std::string> names;              ///< instead of prefix and count
    std::filesystem::path directory = "secrets"; ///< of the secret files, made with 0700 if missing
    std::filesystem::path beside; ///< the configuration's folder: rows name files below it from there
    std::string source, profile;  ///< for the rows; may be empty
    int first_unit_id = 0;        ///< counts up by one a device; 0: left out
};

/// Makes identities and writes the secret files (0600, O_EXCL, synced). All or nothing: when one file exists
/// or cannot be written, those made before are removed and std::runtime_error says which. As root the files
/// get the owner of their directory, and a directory made here the service's user where the machine has it:
/// what root provisions the service must be able to read.
std::vector<Provisioned> provision(const ProvisionRequest& request, const RandomBytes& random);

/// Rows for `devices:` as YAML, or a fleet as CSV (design.md section 6). Hold no secret.
std::string provision_yaml(const ProvisionRequest& request, const std::vector<Provisioned>& devices);
std::string provision_csv(const ProvisionRequest& request, const std::vector<Provisioned>& devices);
/// To register the devices in the Portal: name, DvnUUID and secret. Holds the secrets.
std::string portal_csv(const std::vector<Provisioned>& devices);
/// Writes text to a new file that only its owner can read; throws if the file exists.
/// 0600, synced; removed again if it cannot be written whole.
void write_private_file(const std::filesystem::path& file, const std::string& text);

} // namespace things
