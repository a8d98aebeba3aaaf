// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/loader.hpp"
#include "config/section.hpp"

#include <map>
#include <string>
#include <vector>

// Profiles while a configuration is read: those in it, and files of the profile directories, read when asked
// for.
namespace things {

/// One profile as entries; a device that uses it reads them with its own on top.
/// Entries point into the nodes of the Documents they came from.
struct Profile {
    std::string name;
    std::string plugin;
    Place place;
    Entries device; ///< settings of every device that uses it
    struct Point {
        std::string name;
        Entries entries;
        Place place;
    };
    std::vector<Point> points;
};

/// Reads the body of a profile. The nodes must outlive the result.
Profile read_profile(const std::string& name, const Node& body, Problems& problems);

/// What it returns stays valid as long as the store.
class ProfileStore {
public:
    ProfileStore(const LoadOptions& options, Documents& documents, Problems& problems)
        : options_(options), documents_(documents), problems_(problems) {}
    /// The `profiles:` of a file.
    void add(const Node& profiles);
    /// The profile, or null after a problem at `asked`.
    const Profile* find(const std::string& name, const Place& asked);
    /// Profiles given in the configuration that no device has asked for.
    /// Without those that have mistakes, which were told when they were read.
    [[nodiscard]] std::vector<const Profile*> unused() const;

private:
    struct Known {
        Profile profile;
        bool is_used = false;
        bool is_broken = false;
    };
    /// From the first directory that has NAME.yaml; also a broken one is remembered, so that it is told once.
    Known* load_file(const std::string& name, const Place& asked);
    [[nodiscard]] std::vector<std::string> names() const;

    const LoadOptions& options_;
    Documents& documents_;
    Problems& problems_;
    std::map<std::string, Known> known_;
};

} // namespace things
