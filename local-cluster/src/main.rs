fn main() {
    local_cluster::node::keeper::become_keeper_if_asked();
}
