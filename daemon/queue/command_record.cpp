// SPDX-License-Identifier: Apache-2.0
#include "queue/command_record.hpp"

#include "queue/block.hpp"
#include "queue/bytes.hpp"

namespace things {

namespace {

constexpr char version = 1;

void put_optional(std::string& out, const std::optional<Value>& value) {
    out.push_back(value ? 1 : 0);
    if (value)
        put_value(out, *value);
}

std::optional<Value> get_optional(ByteReader& in) {
    if (in.byte() == 0)
        return std::nullopt;
    return get_value(in);
}

} // namespace

std::string encode(const Command& c) {
    std::string out;
    out.push_back(version);
    put_varint(out, c.id);
    put_varint(out, c.pack);
    for (const std::string* text : {&c.dvnuuid, &c.device, &c.point, &c.origin, &c.boot_id})
        put_text(out, *text);
    put_value(out, c.value);
    for (const std::int64_t ms : {c.received_wall_ms, c.received_boot_ms, c.delay_ms, c.ttl_ms})
        put_signed(out, ms);
    out.push_back(static_cast<char>(c.state));
    put_optional(out, c.before);
    put_optional(out, c.after);
    put_text(out, c.verdict);
    put_signed(out, c.ended_wall_ms);
    return out;
}

std::optional<Command> decode_command(std::string_view bytes) {
    ByteReader in(bytes);
    if (in.byte() != version)
        return std::nullopt;
    Command c;
    c.id = in.varint();
    c.pack = in.varint();
    for (std::string* text : {&c.dvnuuid, &c.device, &c.point, &c.origin, &c.boot_id})
        *text = std::string(in.text());
    c.value = get_value(in);
    for (std::int64_t* ms : {&c.received_wall_ms, &c.received_boot_ms, &c.delay_ms, &c.ttl_ms})
        *ms = in.signed_varint();
    const std::uint8_t state = in.byte();
    c.state = static_cast<CommandState>(state);
    c.before = get_optional(in);
    c.after = get_optional(in);
    c.verdict = std::string(in.text());
    c.ended_wall_ms = in.signed_varint();
    if (!in.is_good() || !in.at_end() || state > static_cast<std::uint8_t>(CommandState::repeated))
        return std::nullopt;
    return c;
}

} // namespace things
