// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "simulator/senml_check.hpp"

#include <cstdint>
#include <deque>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// Everything the simulator accepted, in order of arrival: the oracle of every test that asks what was lost or
// repeated. The newest `keep` readings stay in memory; with a file, every reading is also written to it as a
// line, flushed before the answer leaves, so that the file never claims less than the client was told.
//
// Line: SEQUENCE TAB RECEIVED TAB DEVICE TAB NAME TAB TIME TAB UNIT TAB VALUE, the value as JSON, times in
// seconds:
//   17<tab>1790000000.25<tab>6f1c2b9e-...<tab>temperature<tab>1790000000<tab>Cel<tab>20.5
// One thread.
namespace things::simulator {

class Ledger {
public:
    explicit Ledger(std::size_t keep) : keep_(keep) {}

    /// Appends every reading to `path` from now on. Throws std::runtime_error if it cannot be opened.
    void open(const std::string& path);
    void add(std::uint32_t device, std::string_view device_id, const Pack& pack, double received);
    void clear();

    struct Filter {
        std::uint64_t since = 0; // readings with a sequence number above this one
        std::size_t limit = 10000;
        std::optional<std::uint32_t> device;
        std::string name;              // empty: all
        double from = 0, until = 1e12; // time of the reading
        bool newest = false;           // the last `limit` instead of the first
    };
    /// {"next": sequence to go on after, "readings": [...]}
    [[nodiscard]] std::string list(const Filter& filter, const std::vector<std::string>& device_ids) const;
    [[nodiscard]] std::uint64_t count(const Filter& filter) const;

    [[nodiscard]] std::uint64_t total() const { return total_; }
    [[nodiscard]] std::uint64_t forgotten() const { return total_ - readings_.size(); }

private:
    struct Entry {
        std::uint64_t sequence;
        std::uint32_t device, name, unit;
        bool is_data;
        double time, received;
        std::variant<double, bool, std::string> value;
    };
    std::uint32_t intern(const std::string& text);
    [[nodiscard]] bool matches(const Entry& entry, const Filter& filter,
                               std::optional<std::uint32_t> name) const;
    [[nodiscard]] std::optional<std::uint32_t> find(const std::string& text) const;

    std::size_t keep_;
    std::uint64_t total_ = 0;
    std::deque<Entry> readings_;
    std::vector<std::string> texts_;
    std::unordered_map<std::string, std::uint32_t> numbers_;
    std::ofstream file_;
};

/// Text as a JSON string, with quotes; a number in as few digits as read back the same.
std::string to_json(std::string_view text);
std::string to_json(double number);

} // namespace things::simulator
