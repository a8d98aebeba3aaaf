// SPDX-License-Identifier: Apache-2.0
#include "queue/state.hpp"

#include "queue/bytes.hpp"

namespace things {

namespace {

constexpr char version = 1;
constexpr std::uint64_t most_items = 1'000'000'000; // a size above this is damage, whatever the checksum says

void put_spans(std::string& out, const std::vector<Span>& spans) {
    put_varint(out, spans.size());
    std::uint64_t at = 0;
    for (const Span& s : spans) {
        put_varint(out, s.first - at);
        put_varint(out, s.size());
        at = s.last;
    }
}

std::vector<Span> get_spans(ByteReader& in) {
    std::vector<Span> spans;
    const std::uint64_t count = in.varint();
    std::uint64_t at = 0;
    for (std::uint64_t i = 0; i < count && in.is_good(); ++i) {
        const std::uint64_t first = at + in.varint();
        at = first + in.varint();
        spans.push_back({first, at});
    }
    return spans;
}

void put_books(std::string& out, const Books& books) {
    put_varint(out, books.read);
    put_varint(out, books.accepted);
    put_varint(out, books.dead);
    put_varint(out, books.estimated);
    put_varint(out, books.dropped.size());
    for (const std::uint64_t n : books.dropped)
        put_varint(out, n);
}

Books get_books(ByteReader& in) {
    Books books;
    books.read = in.varint();
    books.accepted = in.varint();
    books.dead = in.varint();
    books.estimated = in.varint();
    const std::uint64_t reasons = in.varint();
    for (std::uint64_t i = 0; i < reasons && in.is_good(); ++i) {
        const std::uint64_t n = in.varint();
        // A later version may know more reasons; what it counted there is lost, not the rest.
        if (i < books.dropped.size())
            books.dropped[static_cast<std::size_t>(i)] = n;
    }
    return books;
}

void put_device(std::string& out, const DeviceState& d) {
    put_varint(out, d.device);
    put_varint(out, d.next);
    put_varint(out, d.blocks.first);
    put_varint(out, d.blocks.size());
    put_spans(out, d.outstanding);
    put_varint(out, d.held.size());
    for (const HeldSpan& h : d.held) {
        put_varint(out, h.boot);
        put_varint(out, h.span.first);
        put_varint(out, h.span.size());
    }
}

DeviceState get_device(ByteReader& in) {
    DeviceState d;
    d.device = static_cast<DeviceId>(in.varint());
    d.next = in.varint();
    d.blocks.first = in.varint();
    d.blocks.last = d.blocks.first + in.varint();
    d.outstanding = get_spans(in);
    const std::uint64_t held = in.varint();
    for (std::uint64_t i = 0; i < held && in.is_good(); ++i) {
        HeldSpan& h = d.held.emplace_back();
        h.boot = static_cast<std::uint32_t>(in.varint());
        h.span.first = in.varint();
        h.span.last = h.span.first + in.varint();
    }
    return d;
}

void put_boot(std::string& out, const Boot& b) {
    put_varint(out, b.number);
    put_text(out, b.id);
    put_varint(out, static_cast<std::uint64_t>(b.clock) * 2 + (b.is_used ? 1 : 0));
    put_signed(out, b.offset_ms);
}

Boot get_boot(ByteReader& in) {
    Boot b;
    b.number = static_cast<std::uint32_t>(in.varint());
    b.id = std::string(in.text());
    const std::uint64_t clock = in.varint();
    b.clock = static_cast<Boot::Clock>((clock / 2) % 3);
    b.is_used = (clock & 1) != 0;
    b.offset_ms = in.signed_varint();
    return b;
}

} // namespace

std::string encode(const QueueState& state) {
    std::string out;
    out.push_back(version);
    put_fixed(out, state.queue_id);
    put_varint(out, state.hot_number);
    put_books(out, state.books);
    put_signed(out, state.saved_wall_ms);
    put_varint(out, state.next_segment);
    put_varint(out, state.next_dead);
    put_varint(out, state.next_command);
    put_varint(out, state.boots.size());
    for (const Boot& b : state.boots)
        put_boot(out, b);
    put_varint(out, state.devices.size());
    for (const DeviceState& d : state.devices)
        put_device(out, d);
    put_fixed(out, checksum(out));
    return out;
}

std::optional<QueueState> decode_state(std::string_view bytes) {
    if (bytes.size() < 5 || bytes[0] != version)
        return std::nullopt;
    ByteReader tail(bytes.substr(bytes.size() - 4));
    bytes.remove_suffix(4);
    if (tail.fixed<std::uint32_t>() != checksum(bytes))
        return std::nullopt;
    ByteReader in(bytes);
    (void)in.byte();
    QueueState s;
    s.queue_id = in.fixed<std::uint64_t>();
    s.hot_number = in.varint();
    s.books = get_books(in);
    s.saved_wall_ms = in.signed_varint();
    s.next_segment = in.varint();
    s.next_dead = in.varint();
    s.next_command = in.varint();
    const std::uint64_t boots = in.varint();
    for (std::uint64_t i = 0; i < boots && i < most_items && in.is_good(); ++i)
        s.boots.push_back(get_boot(in));
    const std::uint64_t devices = in.varint();
    for (std::uint64_t i = 0; i < devices && i < most_items && in.is_good(); ++i)
        s.devices.push_back(get_device(in));
    if (!in.is_good() || !in.at_end())
        return std::nullopt;
    return s;
}

} // namespace things
