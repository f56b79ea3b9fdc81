"""The invented jurisdiction of Quorrin: its acts, facts and topics."""
