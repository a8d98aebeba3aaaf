// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/point_reader.hpp"
#include "config/profile_store.hpp"

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace things {

/// Reads devices, with their profiles and points.
/// One for a whole load, since names and DvnUUIDs must be unique over all files. Everything it refers to
/// outlives it.
class DeviceReader {
public:
    DeviceReader(KnownSources& sources, ProfileStore& profiles, const LoadOptions& options,
                 Problems& problems)
        : sources_(sources), profiles_(profiles), options_(options), problems_(problems),
          points_(sources, options, problems) {}

    /// One entry of `devices:`, or one row of a fleet. None if it is not a mapping.
    /// A device with mistakes is returned too, as far as it goes: its other parts are then checked as well.
    std::optional<DeviceConfig> read(const Node& node);
    /// A profile that no device uses is checked as if one did.
    void check_profile(const Profile& profile);

private:
    /// A point of profile or device, before it is read.
    struct Listed {
        std::string name;
        Entries entries;
        Place place;
    };
    void read_identity(Section& section, DeviceConfig& device);
    void read_device_secret(Section& section, DeviceConfig& device);
    const Profile* find_profile(Section& section, const PluginDescription* plugin, DeviceConfig& device);
    void check_profile_device(const Profile& profile, const PluginDescription* plugin);
    /// The profile's points, those of the device on top key by key, then the device's own.
    std::vector<Listed> list_points(const Section& section, const Profile* profile,
                                    const PluginDescription* plugin);
    std::vector<Listed> own_points(const Section& section);
    using Names = std::unordered_set<std::string>;
    Names named_points(const Section& section, const char* key, const Profile* profile);

    using Firsts = std::unordered_map<std::string, Place>;
    /// Without regard to the case of letters.
    void check_once(Firsts& firsts, const std::string& text, const Place& place, const char* what);

    Firsts names_, uuids_;
    KnownSources& sources_;
    ProfileStore& profiles_;
    const LoadOptions& options_;
    Problems& problems_;
    PointReader points_;
};

} // namespace things
