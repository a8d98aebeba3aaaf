// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"
#include "model/setting.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Plain values as bytes and back, the alphabet of polling/host_protocol. Pure; any thread.
namespace things {

/// Little endian; a text and a list begin with their count (4 bytes), a variant with its kind (1 byte).
/// Written in the order of the calls.
class MessageWriter {
public:
    void put(bool value) { put_bytes(value ? 1 : 0, 1); }
    void put(std::uint8_t value) { put_bytes(value, 1); }
    void put(std::uint32_t value) { put_bytes(value, 4); }
    void put(std::uint64_t value) { put_bytes(value, 8); }
    void put(std::int64_t value) { put_bytes(static_cast<std::uint64_t>(value), 8); }
    /// Its 64 bits as they are, NaN included.
    void put(double value);
    void put(std::string_view text);
    void put(const std::string& text) { put(std::string_view(text)); }
    /// A pointer would become a bool.
    void put(const char*) = delete;
    void put(const Value& value);
    void put(const Scalar& value);
    /// Key, value and items; neither its place nor whether it is secret.
    void put(const Setting& setting);
    template <typename Item>
    void put(const std::vector<Item>& items) {
        put(static_cast<std::uint32_t>(items.size()));
        for (const Item& item : items)
            put(item);
    }
    /// Leaves the writer empty and ready for the next.
    [[nodiscard]] std::string take() { return std::move(bytes_); }

private:
    void put_bytes(std::uint64_t value, int count);
    std::string bytes_;
};

/// Reads in the same order. Once something does not fit every further `get` gives zeros and `is_good` is
/// false.
/// `bytes` stay as they are while it reads; texts are copied out. Never throws on any bytes.
class MessageReader {
public:
    explicit MessageReader(std::string_view bytes) : bytes_(bytes) {}
    /// Only 0 and 1 fit.
    void get(bool& value);
    void get(std::uint8_t& value) { value = static_cast<std::uint8_t>(get_bytes(1)); }
    void get(std::uint32_t& value) { value = static_cast<std::uint32_t>(get_bytes(4)); }
    void get(std::uint64_t& value) { value = get_bytes(8); }
    void get(std::int64_t& value) { value = static_cast<std::int64_t>(get_bytes(8)); }
    void get(double& value);
    /// A length beyond what is left does not fit; nothing is allocated for it.
    void get(std::string& text);
    void get(Value& value);
    void get(Scalar& value);
    void get(Setting& setting);
    /// Appends to `items`; stops at the first that does not fit.
    template <typename Item>
    void get(std::vector<Item>& items) {
        for (std::uint32_t left = get_count(); left > 0 && is_good_; --left) {
            items.emplace_back();
            get(items.back());
        }
    }
    /// A number that must lie between `first` and `last`.
    template <typename Enum>
    void get(Enum& value, Enum first, Enum last) {
        std::uint8_t number = 0;
        get(number);
        is_good_ = is_good_ && number >= static_cast<std::uint8_t>(first) &&
                   number <= static_cast<std::uint8_t>(last);
        value = is_good_ ? static_cast<Enum>(number) : first;
    }
    /// How many items follow. Each takes at least a byte, so what claims more than there is is refused here,
    /// before memory is asked for.
    [[nodiscard]] std::uint32_t get_count();
    [[nodiscard]] bool is_good() const { return is_good_; }
    /// Everything was read and nothing is left.
    [[nodiscard]] bool is_complete() const { return is_good_ && bytes_.empty(); }

private:
    std::uint64_t get_bytes(std::size_t count);
    std::string_view bytes_;
    bool is_good_ = true;
};

} // namespace things
