// SPDX-License-Identifier: Apache-2.0
#include "queue/hot/hot_log.hpp"

#include "queue/bytes.hpp"
#include "queue/flash/place.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace things {

namespace {

constexpr std::size_t head_size = 9;
constexpr std::size_t most_payload = std::size_t{256} * 1024 * 1024;

} // namespace

HotLog::HotLog(std::filesystem::path directory) : directory_(std::move(directory)) {
    std::error_code ignored;
    for (const std::uint64_t n : files(directory_))
        old_.push_back({n, std::filesystem::file_size(path(directory_, n), ignored)});
}

HotLog::~HotLog() {
    close();
}

void HotLog::close() {
    if (descriptor_ >= 0)
        ::close(descriptor_);
    descriptor_ = -1;
}

void HotLog::fail(const std::string& what) {
    problem_ = fmt::format("{} {}: {}", what, path(directory_, number_).string(),
                           std::error_code(errno, std::generic_category()).message());
    close();
    buffer_.clear();
}

bool HotLog::begin(std::uint64_t number, std::string_view state, std::string_view catalogue) {
    if (descriptor_ >= 0) {
        (void)flush();
        old_.push_back({number_, size_});
        close();
    }
    number_ = number;
    size_ = 0;
    std::error_code ignored;
    std::filesystem::create_directories(directory_, ignored);
    problem_ = trust_problem(directory_);
    if (!problem_.empty())
        return false;
    const std::string file = path(directory_, number).string();
    descriptor_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor_ < 0) {
        fail("create");
        return false;
    }
    buffer_.clear();
    add(Kind::state, state);
    std::string whole;
    put_varint(whole, 0);
    put_varint(whole, 0);
    whole += catalogue;
    add(Kind::catalogue, whole);
    if (!flush()) {
        ::unlink(file.c_str());
        return false;
    }
    problem_.clear();
    return true;
}

void HotLog::add(Kind kind, std::string_view payload) {
    if (descriptor_ < 0)
        return;
    const std::size_t at = buffer_.size();
    put_fixed(buffer_, static_cast<std::uint32_t>(payload.size()));
    put_fixed(buffer_, std::uint32_t{0});
    buffer_.push_back(static_cast<char>(kind));
    buffer_.append(payload);
    const std::uint32_t crc = checksum(std::string_view(buffer_).substr(at + 8));
    std::memcpy(buffer_.data() + at + 4, &crc, sizeof crc);
}

bool HotLog::flush() {
    if (descriptor_ < 0)
        return false;
    std::size_t done = 0;
    while (done < buffer_.size()) {
        const ssize_t n = ::write(descriptor_, buffer_.data() + done, buffer_.size() - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            fail("write");
            return false;
        }
        done += static_cast<std::size_t>(n);
    }
    size_ += buffer_.size();
    buffer_.clear();
    return true;
}

void HotLog::check() {
    struct stat file {};
    if (descriptor_ < 0 || ::fstat(descriptor_, &file) != 0 || file.st_nlink > 0)
        return;
    errno = ENOENT;
    fail("find");
}

void HotLog::remove_below(std::uint64_t number) {
    while (!old_.empty() && old_.front().number < number) {
        std::error_code ignored;
        std::filesystem::remove(path(directory_, old_.front().number), ignored);
        old_.pop_front();
    }
}

std::uint64_t HotLog::total_size() const {
    std::uint64_t sum = size_;
    for (const Old& o : old_)
        sum += o.size;
    return sum;
}

std::filesystem::path HotLog::path(const std::filesystem::path& directory, std::uint64_t number) {
    return directory / fmt::format("{:010}.hot", number);
}

std::vector<std::uint64_t> HotLog::files(const std::filesystem::path& directory) {
    std::vector<std::uint64_t> numbers;
    std::error_code error;
    for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end;
         at.increment(error)) {
        const std::string name = at->path().filename().string();
        std::uint64_t n = 0;
        const auto [rest, code] = std::from_chars(name.data(), name.data() + name.size(), n);
        if (code == std::errc() && std::string_view(rest) == ".hot")
            numbers.push_back(n);
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

std::vector<HotRecord> parse_hot(std::string_view bytes, std::size_t& good) {
    std::vector<HotRecord> records;
    good = 0;
    while (bytes.size() - good >= head_size) {
        ByteReader in(bytes.substr(good));
        const auto size = in.fixed<std::uint32_t>();
        const auto crc = in.fixed<std::uint32_t>();
        if (size > most_payload || bytes.size() - good - head_size < size)
            break;
        const std::string_view body = bytes.substr(good + 8, size + 1);
        if (checksum(body) != crc)
            break;
        records.push_back({static_cast<HotLog::Kind>(body[0]), body.substr(1)});
        good += head_size + size;
    }
    return records;
}

} // namespace things
