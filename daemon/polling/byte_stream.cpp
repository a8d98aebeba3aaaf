// SPDX-License-Identifier: Apache-2.0
#include "polling/byte_stream.hpp"

#include <cstring>
#include <type_traits>

namespace things {

namespace {

enum Kind : std::uint8_t { none = 0, boolean, integer, natural, number, text };

template <typename Alternative>
constexpr Kind kind_of() {
    if constexpr (std::is_same_v<Alternative, bool>)
        return boolean;
    else if constexpr (std::is_same_v<Alternative, std::int64_t>)
        return integer;
    else if constexpr (std::is_same_v<Alternative, std::uint64_t>)
        return natural;
    else if constexpr (std::is_same_v<Alternative, double>)
        return number;
    else if constexpr (std::is_same_v<Alternative, std::string>)
        return text;
    else
        return none;
}

struct Put {
    MessageWriter& out;
    template <typename Alternative>
    void operator()(const Alternative& value) const {
        out.put(static_cast<std::uint8_t>(kind_of<Alternative>()));
        if constexpr (!std::is_same_v<Alternative, std::monostate>)
            out.put(value);
    }
};

template <typename Alternative, typename Variant>
void get_as(MessageReader& in, Variant& value) {
    Alternative alternative{};
    in.get(alternative);
    value = std::move(alternative);
}

/// False if the kind is none of a value's.
template <typename Variant>
bool get_variant(MessageReader& in, std::uint8_t kind, Variant& value) {
    switch (kind) {
    case boolean:
        get_as<bool>(in, value);
        return true;
    case integer:
        get_as<std::int64_t>(in, value);
        return true;
    case natural:
        get_as<std::uint64_t>(in, value);
        return true;
    case number:
        get_as<double>(in, value);
        return true;
    case text:
        get_as<std::string>(in, value);
        return true;
    default:
        return false;
    }
}

} // namespace

void MessageWriter::put_bytes(std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i)
        bytes_ += static_cast<char>(value >> (8 * i) & 0xFFU);
}

void MessageWriter::put(double value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    put(bits);
}

void MessageWriter::put(std::string_view value) {
    put(static_cast<std::uint32_t>(value.size()));
    bytes_ += value;
}

void MessageWriter::put(const Value& value) {
    std::visit(Put{*this}, value);
}

void MessageWriter::put(const Scalar& value) {
    std::visit(Put{*this}, value);
}

void MessageWriter::put(const Setting& setting) {
    put(setting.key);
    put(setting.value);
    put(setting.items);
}

std::uint64_t MessageReader::get_bytes(std::size_t count) {
    if (!is_good_ || bytes_.size() < count) {
        is_good_ = false;
        return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < count; ++i)
        value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes_[i])) << (8 * i);
    bytes_.remove_prefix(count);
    return value;
}

void MessageReader::get(bool& value) {
    const std::uint64_t byte = get_bytes(1);
    is_good_ = is_good_ && byte <= 1;
    value = byte == 1;
}

void MessageReader::get(double& value) {
    const std::uint64_t bits = get_bytes(8);
    std::memcpy(&value, &bits, sizeof value);
}

std::uint32_t MessageReader::get_count() {
    const auto count = static_cast<std::uint32_t>(get_bytes(4));
    if (count > bytes_.size())
        is_good_ = false;
    return is_good_ ? count : 0;
}

void MessageReader::get(std::string& value) {
    const std::uint32_t size = get_count();
    value = std::string(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
}

void MessageReader::get(Value& value) {
    std::uint8_t kind = 0;
    get(kind);
    if (!get_variant(*this, kind, value))
        is_good_ = false;
}

void MessageReader::get(Scalar& value) {
    std::uint8_t kind = 0;
    get(kind);
    if (kind == none)
        value = std::monostate();
    else if (!get_variant(*this, kind, value))
        is_good_ = false;
}

void MessageReader::get(Setting& setting) {
    get(setting.key);
    get(setting.value);
    get(setting.items);
}

} // namespace things
