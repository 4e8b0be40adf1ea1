drop table projection_reports;
drop sequence projection_inquiries;
alter table event_projection_offsets
    drop column generation,
    drop column ordered_generation,
    drop column skipped_positions;
