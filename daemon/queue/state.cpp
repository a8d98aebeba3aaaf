// SPDX-License-Identifier: Apache-2.0
#include "queue/state.hpp"

#include "queue/bytes.hpp"

#include <algorithm>
#include <utility>

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

/// What was added after version 1 was in the field: see the header.
std::vector<std::uint64_t> numbers_of(const QueueState& s) {
    std::vector<std::uint64_t> out{s.books.adopted, s.identity,   zigzag(s.moved_ms),
                                   s.machine.board, s.machine.id, s.machine.nics.size()};
    out.insert(out.end(), s.machine.nics.begin(), s.machine.nics.end());
    out.push_back(s.adopted.size());
    for (const AdoptedQueue& queue : s.adopted) {
        out.insert(out.end(), {queue.identity, queue.next_dead, queue.next.size()});
        for (const auto& [device, next] : queue.next)
            out.insert(out.end(), {device, next});
    }
    out.insert(out.end(), {zigzag(s.retrace.until_ms), s.retrace.level});
    return out;
}

/// Zeros where there are no more: an older program wrote none, a later one may write more.
class Numbers {
public:
    explicit Numbers(std::vector<std::uint64_t> all) : all_(std::move(all)) {}
    std::uint64_t next() { return at_ < all_.size() ? all_[at_++] : 0; }
    /// How many items follow, of `width` numbers or more each.
    std::uint64_t count(std::size_t width) {
        return std::min<std::uint64_t>(next(), (all_.size() - at_) / width);
    }

private:
    std::vector<std::uint64_t> all_;
    std::size_t at_ = 0;
};

void take_numbers(Numbers in, QueueState& s) {
    s.books.adopted = in.next();
    s.identity = in.next();
    s.moved_ms = unzigzag(in.next());
    s.machine.board = in.next();
    s.machine.id = in.next();
    for (std::uint64_t n = in.count(1); n > 0; --n)
        s.machine.nics.push_back(in.next());
    for (std::uint64_t n = in.count(3); n > 0; --n) {
        AdoptedQueue& queue = s.adopted.emplace_back();
        queue.identity = in.next();
        queue.next_dead = in.next();
        for (std::uint64_t devices = in.count(2); devices > 0; --devices) {
            const auto device = static_cast<DeviceId>(in.next());
            queue.next.emplace_back(device, in.next());
        }
    }
    s.retrace.until_ms = unzigzag(in.next());
    s.retrace.level = static_cast<std::uint32_t>(in.next());
}

/// `read` counts what was adopted too, for a program that does not know of it.
void put_books(std::string& out, const QueueState& s) {
    const Books& books = s.books;
    put_varint(out, books.read + books.adopted);
    put_varint(out, books.accepted);
    put_varint(out, books.dead);
    put_varint(out, books.estimated);
    const std::vector<std::uint64_t> more = numbers_of(s);
    put_varint(out, books.dropped.size() + more.size());
    for (const std::uint64_t n : books.dropped)
        put_varint(out, n);
    for (const std::uint64_t n : more)
        put_varint(out, n);
}

void get_books(ByteReader& in, QueueState& s) {
    Books& books = s.books;
    books.read = in.varint();
    books.accepted = in.varint();
    books.dead = in.varint();
    books.estimated = in.varint();
    const std::uint64_t count = in.varint();
    std::vector<std::uint64_t> more;
    for (std::uint64_t i = 0; i < count && in.is_good(); ++i) {
        const std::uint64_t n = in.varint();
        if (i < books.dropped.size())
            books.dropped[static_cast<std::size_t>(i)] = n;
        else
            more.push_back(n);
    }
    take_numbers(Numbers(std::move(more)), s);
    books.read -= std::min(books.read, books.adopted);
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

void raise_mark(AdoptedQueue& queue, DeviceId device, std::uint64_t next) {
    const auto at = std::find_if(queue.next.begin(), queue.next.end(),
                                 [device](const auto& entry) { return entry.first == device; });
    if (at == queue.next.end())
        queue.next.emplace_back(device, next);
    else
        at->second = std::max(at->second, next);
}

std::string encode(const QueueState& state) {
    std::string out;
    out.push_back(version);
    put_fixed(out, state.queue_id);
    put_varint(out, state.hot_number);
    put_books(out, state);
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
    get_books(in, s);
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
