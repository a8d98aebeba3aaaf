// SPDX-License-Identifier: Apache-2.0
#include "delivery/uploader.hpp"

#include "delivery/upload_work.hpp"

namespace things {

Uploader::Uploader(boost::asio::io_context& loop, const Clock& clock, Backlog& backlog, Https& https,
                   const ThingsConfig& things, const BatchConfig& batch, UploadHooks hooks)
    : work_(std::make_shared<UploadWork>(loop, clock, backlog, https, things, batch, std::move(hooks))) {}

Uploader::~Uploader() {
    work_->close();
}

void Uploader::update(const UploadDevice& device) {
    work_->update(device);
}

void Uploader::remove(DeviceId device) {
    work_->remove(device);
}

void Uploader::retire(DeviceId device) {
    work_->retire(device);
}

void Uploader::configure(const ThingsConfig& things, const BatchConfig& batch) {
    work_->configure(things, batch);
}

void Uploader::notify(DeviceId device) {
    work_->notify(device);
}

void Uploader::request_post(DeviceId device) {
    work_->request_post(device);
}

void Uploader::retry_now(DeviceId device) {
    work_->retry_now(device);
}

void Uploader::on_next_answer(DeviceId device, std::function<void(const PostResult&)> handler) {
    work_->on_next_answer(device, std::move(handler));
}

void Uploader::ask_time() {
    work_->ask_time();
}

const std::string& Uploader::time_problem() const {
    return work_->time_problem();
}

void Uploader::on_link_up() {
    work_->on_link_up();
}

void Uploader::shutdown(Milliseconds within, std::function<void()> done) {
    work_->shutdown(within, std::move(done));
}

void Uploader::tick() {
    work_->tick();
}

DeviceUploads Uploader::status(DeviceId device) const {
    return work_->status(device);
}

Explanation Uploader::explain_last(DeviceId device) const {
    return work_->explain_last(device);
}

std::string Uploader::find_hold(DeviceId device) const {
    return work_->find_hold(device);
}

UploadTotals Uploader::totals() const {
    return work_->totals();
}

} // namespace things
