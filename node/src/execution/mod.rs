//! The execution layer as the node sees it: who is asked about payloads and who builds them.
